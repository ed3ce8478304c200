"""Checkpoints from the Hugging Face hub, its local cache, or a folder. The only module that does network I/O.

huggingface_hub does the talking, so HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and HF_HOME mean here what they mean
everywhere. It is imported inside functions: an offline plan never pays for it.
"""

import os
import re
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from llm_serving_planner.base import jsontext
from llm_serving_planner.base.errors import HubError, HubUnreachableError, InputError
from llm_serving_planner.base.files import MOST_BYTES, read_bytes, unreadable
from llm_serving_planner.base.shapes import check_shape
from llm_serving_planner.base.streams import counted
from llm_serving_planner.models.checkpoint import Checkpoint, TensorInfo, read_header, tensor_of
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.offline import is_offline

Progress = Callable[[str], None]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_TRIES = 3
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
# Seconds for everything that one model is asked for: 200 headers over a slow line take 30 (measured 2026-11-22).
TOTAL_SECONDS = 60.0
_SILENCE_SECONDS = 10.0  # as huggingface_hub's own HF_HUB_DOWNLOAD_TIMEOUT
_MOST_ANSWER = 32 * 1024 * 1024  # bytes of one answer: the list of a repository of 20,000 files has 8 MiB
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SIDE_FILES = ("hf_quant_config.json", "quantize_config.json")
_RETRIED = frozenset({429, 500, 502, 503, 504})


def fetch(
    model: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    progress: Progress = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Checkpoint:
    """Read a checkpoint's config and the headers of its weights.

    Args:
        model: hub id, or a folder.
        revision: branch, tag or commit.
        offline: only the local cache.
        progress: told what is being waited for.
        sleep: pauses between tries (tests pass their own).

    Raises:
        InputError: malformed id, or a folder without usable files.
        HubUnreachableError: no answer, rate limit, server errors, or offline and not in the cache.
        HubError: not found, gated, or unusable files.
    """
    if model.startswith((".", "/", "~")) or Path(model).is_dir():
        return _from_folder(Path(model).expanduser())
    if not _ID.fullmatch(model) or ".." in model:
        raise InputError(f"{model!r} is neither a Hugging Face id (org/name) nor a folder")
    if is_offline(asked=offline):
        return _from_cache(model, revision)
    return _Session(model, revision, progress, sleep).checkpoint()


def read_file(model: str, name: str, *, revision: str | None, progress: Progress) -> tuple[str, dict[str, Any]]:
    """(commit, a JSON file of it): what is not a checkpoint, such as the config of an adapter.

    Raises:
        HubUnreachableError, HubError: as `fetch`; HubError too where there is no such file.
    """
    if is_offline():
        return _from_cached_file(model, name, revision)
    session = _Session(model, revision, progress, time.sleep)
    sha = session.commit()
    return sha, session.json(name, sha)


def _from_folder(folder: Path, *, model_id: str | None = None, revision: str | None = None) -> Checkpoint:
    path = folder / "config.json"
    try:
        names = [folder.name] if folder.suffix == ".gguf" else [entry.name for entry in folder.glob("*")]
    except OSError as error:
        raise unreadable(folder, error) from error
    if _only_gguf(names):
        message, hint = formats.gguf_problem(str(folder))
        raise InputError(message, hint=hint)
    config = jsontext.parse_object(read_bytes(path), str(path))
    side = next((folder / name for name in _SIDE_FILES if (folder / name).exists()), None)
    tensors, weights_bytes = _folder_weights(folder)
    return Checkpoint(
        model_id=model_id or folder.name or str(folder.resolve()),
        revision=revision,
        gated=None if model_id else False,
        source="cache" if model_id else "folder",
        config=config,
        quant_config=jsontext.parse_object(read_bytes(side), str(side)) if side else None,
        tensors=tensors,
        weights_bytes=weights_bytes,
        files_bytes=weights_bytes,
    )


def _only_gguf(names: Iterable[str]) -> bool:
    """Whether GGUF is the only form of the weights among these files."""
    endings = {Path(name).suffix for name in names}
    return ".gguf" in endings and not endings & {".safetensors", ".bin"}


def _folder_weights(folder: Path) -> tuple[dict[str, TensorInfo] | None, int | None]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names, total = _listed(read_bytes(index, jsontext.MOST_LIST_BYTES), str(index))
        present = [folder / name for name in names if (folder / name).exists()]
        if len(present) < len(names):
            if total is None:
                raise InputError(f"{index}: {len(names) - len(present)} of {len(names)} weight files are missing")
            return None, total
    else:
        present = [path for path in sorted(folder.glob("*.safetensors")) if not path.name.startswith("consolidated")]
    tensors: dict[str, TensorInfo] = {}
    for path in present:
        tensors.update(read_header(path))
    if tensors:
        return tensors, sum(tensor.nbytes for tensor in tensors.values())
    binaries = [path.stat().st_size for path in folder.glob("pytorch_model*.bin")]
    return None, sum(binaries) or None


def _listed(raw: bytes, where: str) -> tuple[list[str], int | None]:
    """(weight files, bytes of all tensors where it says them) of an index.

    Raises:
        SchemaError: no index.
        InputError: it names a file that lies elsewhere: somebody else's checkpoint would be read.
    """
    listed = jsontext.parse_object(raw, where, jsontext.MOST_LIST_BYTES)
    check_shape("index", listed, where)
    names: set[str] = set()
    for name in listed["weight_map"].values():
        path = PurePosixPath(name) if isinstance(name, str) else None
        if path is None or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
            raise InputError(f"{where}: /weight_map names {str(name)[:100]!r}; a file of the same folder is expected")
        names.add(name)
    total = (listed.get("metadata") or {}).get("total_size")
    return sorted(names), None if total is None else int(total)


def _from_cache(model: str, revision: str | None) -> Checkpoint:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "config.json", revision=revision)
    if not isinstance(found, str):
        raise HubUnreachableError(f"offline, and the Hugging Face cache has no {model}")
    folder = Path(found).parent
    checkpoint = _from_folder(folder, model_id=model, revision=folder.name)
    if checkpoint.weights_bytes is None:
        raise HubUnreachableError(f"offline, and the Hugging Face cache has no weights of {model}")
    return checkpoint


def _from_cached_file(model: str, name: str, revision: str | None) -> tuple[str, dict[str, Any]]:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, name, revision=revision)
    if not isinstance(found, str):
        raise HubUnreachableError(f"offline, and the Hugging Face cache has no {name} of {model}")
    return Path(found).parent.name, jsontext.parse_object(read_bytes(Path(found)), f"{name} of {model}")


class _Session:
    """One reading of one model from the hub."""

    def __init__(self, model: str, revision: str | None, progress: Progress, sleep: Callable[[float], None]) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # its transfers know neither time-outs nor our bounds
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # this command says what it waits for
        from huggingface_hub import HfApi

        self.model = model
        self.revision = revision
        self.progress = progress
        self.sleep = sleep
        self.sizes: dict[str, int] = {}
        self.until = time.monotonic() + TOTAL_SECONDS
        self.api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)

    def checkpoint(self) -> Checkpoint:
        """The checkpoint at one commit."""
        info = self._info(files=True)
        sizes = self.sizes
        if _only_gguf(sizes):
            message, hint = formats.gguf_problem(self.model)
            raise HubError(message, hint=hint)
        sha = str(info.sha)
        config = self.json("config.json", sha)
        side = next((name for name in _SIDE_FILES if name in sizes), None)
        tensors, weights_bytes = self._weights(sizes, sha)
        return Checkpoint(
            model_id=info.id,
            revision=sha,
            gated=bool(info.gated),
            source="hub",
            config=config,
            quant_config=self.json(side, sha) if side else None,
            tensors=tensors,
            weights_bytes=weights_bytes,
            files_bytes=self._files_bytes(sizes, weights_bytes),
        )

    def commit(self) -> str:
        """The commit that the revision names."""
        return str(self._info(files=False).sha)

    def _info(self, *, files: bool) -> Any:
        """What the hub says of the model, with names and sizes of its files where asked.

        Raises:
            HubError: as `_ask`, or a name, a commit or a size is none.
        """
        info = self._ask(
            "model",
            lambda: self.api.model_info(
                self.model, revision=self.revision, files_metadata=files, timeout=_SILENCE_SECONDS
            ),
        )
        siblings = [(file.rfilename, file.size or 0) for file in info.siblings or []] if files else []
        sound = all(isinstance(name, str) and type(size) is int and 0 <= size < 2**63 for name, size in siblings)
        if not (sound and isinstance(info.sha, str) and _COMMIT.fullmatch(info.sha) and _named(info.id)):
            raise HubError(f"{self.model}: what the hub says of the model cannot be understood")
        self.sizes = dict(siblings)
        return info

    def json(self, name: str, sha: str) -> dict[str, Any]:
        """A JSON file of the commit.

        Raises:
            HubError: as `_ask`, or it is too large, by what the hub said before or by what came, or no JSON object.
        """
        size = self.sizes.get(name, 0)
        if size > MOST_BYTES:
            raise HubError(f"{name} of {self.model} has {size:,} bytes; at most {MOST_BYTES:,} are read")
        self.progress(f"reading {name} of {self.model}")
        path = self._ask(name, lambda: self.api.hf_hub_download(self.model, name, revision=sha, etag_timeout=10))
        try:
            return jsontext.parse_object(read_bytes(Path(path)), f"{name} of {self.model}")
        except InputError as error:
            raise HubError(str(error)) from error

    def _weights(self, sizes: dict[str, int], sha: str | None) -> tuple[dict[str, TensorInfo] | None, int | None]:
        if "model.safetensors" in sizes or "model.safetensors.index.json" in sizes:
            self.progress(f"reading the safetensors headers of {self.model}")
            metadata = self._ask(
                "safetensors headers", lambda: self.api.get_safetensors_metadata(self.model, revision=sha)
            )
            where = f"safetensors headers of {self.model}"
            tensors = {
                name: tensor_of(name, tensor.dtype, tensor.shape, tensor.data_offsets, where)
                for file in metadata.files_metadata.values()
                for name, tensor in file.tensors.items()
            }
            return tensors, sum(tensor.nbytes for tensor in tensors.values())
        binaries = sum(size for name, size in sizes.items() if re.fullmatch(r"pytorch_model.*\.bin", name))
        if binaries:
            return None, binaries
        consolidated = sum(size for name, size in sizes.items() if re.fullmatch(r"consolidated.*\.safetensors", name))
        if consolidated:
            return None, consolidated
        raise HubError(f"{self.model} holds no weight files that are understood (safetensors, pytorch_model.bin)")

    @staticmethod
    def _files_bytes(sizes: dict[str, int], weights_bytes: int | None) -> int | None:
        """Weights of one set and the small files: what the engine downloads."""
        small = sum(size for name, size in sizes.items() if name.endswith((".json", ".model", ".txt", ".jinja")))
        return None if weights_bytes is None else weights_bytes + small

    def _ask(self, what: str, call: Callable[[], Any]) -> Any:
        """Call with retries on what passes; every other error as one of ours."""
        for attempt in range(_TRIES):
            try:
                with _bounded(self.until):
                    return call()
            except Exception as error:
                pause = self._pause(error, attempt, what)
                if time.monotonic() + pause > self.until:
                    raise _too_late(what, self.model) from error
                self.progress(f"{self.model}: {_one_line(error)}; trying again in {pause:g} s")
                self.sleep(pause)
        raise AssertionError("unreachable")

    def _pause(self, error: Exception, attempt: int, what: str) -> float:
        """Seconds until the next try.

        Raises:
            HubError: the error is final.
        """
        from huggingface_hub import errors

        # HTTPError of whichever client huggingface_hub speaks through: httpx in 1.x, httpx2 in 2.4
        transport: type[Exception] = vars(errors)["HTTPError"]
        last = attempt == _TRIES - 1
        if isinstance(error, HubError):
            raise error
        if isinstance(error, errors.GatedRepoError):
            raise HubError(
                f"{self.model} is gated: {what} needs accepted terms and a token",
                hint=f"accept the terms on the page of {self.model}, then set HF_TOKEN; or plan with --offline",
            ) from error
        if isinstance(error, errors.RevisionNotFoundError):
            raise HubError(f"{self.model} has no revision {self.revision!r}") from error
        if isinstance(error, errors.RepositoryNotFoundError):
            raise HubError(
                f"the hub has no model {self.model} (or it is private)", hint="check the spelling; HF_TOKEN for private"
            ) from error
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            raise HubError(f"{self.model} has no {what}") from error
        status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
        if status is not None and status not in _RETRIED:
            raise HubError(f"{self.model}: the hub answers HTTP {status} for {what}") from error
        passing = status is not None or isinstance(
            error, (transport, errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, OSError)
        )
        if isinstance(error, errors.SafetensorsParsingError | _MISREAD):
            raise HubError(f"{self.model}: {what} cannot be understood ({_one_line(error)})") from error
        if not passing:
            raise error
        if last:
            raise HubUnreachableError(
                f"the hub cannot be reached for {what} of {self.model} ({_one_line(error)})"
            ) from error
        after = error.response.headers.get("Retry-After", "") if isinstance(error, errors.HfHubHTTPError) else ""
        pause = float(after) if after.isdigit() else _PAUSE_SECONDS * 2**attempt
        return min(pause, _LONGEST_PAUSE_SECONDS)


# What the client raises where an answer has another shape than it takes for granted: it checks none.
_MISREAD = AttributeError | LookupError | TypeError | ValueError | RecursionError


def _named(model_id: Any) -> bool:
    return isinstance(model_id, str) and _ID.fullmatch(model_id) is not None


def _too_late(what: str, model: str) -> HubUnreachableError:
    return HubUnreachableError(f"the hub did not answer for {what} of {model} within {TOTAL_SECONDS:g} s")


@contextmanager
def _bounded(until: float) -> Iterator[None]:
    """Time-outs, sizes and one deadline for everything that huggingface_hub asks for in this block.

    Its own calls retry for minutes, obey any Retry-After and read what comes. So each answer is looked at when its head
    is there, and its body is counted while it comes.

    Raises:
        HubUnreachableError: out of the client's calls, when the time is over or the hub asks for a longer pause.
        HubError: out of them, when an answer is too large.
    """
    import httpx2
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    parts = 0

    def check(size: int, block: bytes) -> None:
        nonlocal parts
        parts += jsontext.parts(block)
        _check_time(until)
        if size > _MOST_ANSWER or parts > jsontext.MOST_PARTS:
            raise HubError(f"the hub answers with more than {_MOST_ANSWER:,} bytes or {jsontext.MOST_PARTS:,} parts")

    class Body(httpx2.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __iter__(self) -> Iterator[bytes]:
            return counted(self.stream, check)

        def close(self) -> None:
            self.stream.close()

    def asked(request: Any) -> None:
        _check_time(until)
        longest = max(min(until - time.monotonic(), _SILENCE_SECONDS), 0.1)
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), longest)

    def received(response: Any) -> None:
        _check_time(until)
        pause = response.headers.get("Retry-After", "")
        if response.status_code in _RETRIED and pause.isdigit() and int(pause[:9]) > _LONGEST_PAUSE_SECONDS:
            raise HubUnreachableError(f"the hub answers HTTP {response.status_code} and asks to wait {pause[:9]} s")
        response.stream = Body(response.stream)

    def client() -> Any:
        made = default_client_factory()
        hooks = made.event_hooks
        made.event_hooks = {"request": [*hooks["request"], asked], "response": [*hooks["response"], received]}
        return made

    set_client_factory(client)
    try:
        yield
    finally:
        set_client_factory(default_client_factory)


def _check_time(until: float) -> None:
    if time.monotonic() > until:
        raise HubUnreachableError(f"the hub did not answer within {TOTAL_SECONDS:g} s")


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (
        textwrap.shorten(f"{type(error).__name__}: {lines[0]}", 160, placeholder=" ...")
        if lines
        else type(error).__name__
    )
