"""Checkpoints from the Hugging Face hub, its local cache, or a folder. The only module that does network I/O.

huggingface_hub does the talking, so HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and HF_HOME mean here what they mean
everywhere. It is imported inside functions: an offline plan never pays for it.
"""

import json
import os
import re
import textwrap
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import HubError, HubUnreachableError, InputError
from llm_serving_planner.models.checkpoint import Checkpoint, TensorInfo, parse_json, read_header
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.offline import is_offline

Progress = Callable[[str], None]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_TRIES = 3
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
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
    names = [folder.name] if folder.suffix == ".gguf" else [entry.name for entry in folder.glob("*")]
    if _only_gguf(names):
        message, hint = formats.gguf_problem(str(folder))
        raise InputError(message, hint=hint)
    try:
        config = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    side = next((folder / name for name in _SIDE_FILES if (folder / name).exists()), None)
    tensors, weights_bytes = _folder_weights(folder)
    return Checkpoint(
        model_id=model_id or folder.name or str(folder.resolve()),
        revision=revision,
        gated=None if model_id else False,
        source="cache" if model_id else "folder",
        config=config,
        quant_config=parse_json(side.read_bytes(), str(side)) if side else None,
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
        listed = parse_json(index.read_bytes(), str(index))
        names = sorted(set(listed.get("weight_map", {}).values()))
        present = [folder / name for name in names if (folder / name).exists()]
        if len(present) < len(names):
            total = listed.get("metadata", {}).get("total_size")
            if not isinstance(total, int):
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
    return Path(found).parent.name, parse_json(Path(found).read_bytes(), f"{name} of {model}")


class _Session:
    """One reading of one model from the hub."""

    def __init__(self, model: str, revision: str | None, progress: Progress, sleep: Callable[[float], None]) -> None:
        from huggingface_hub import HfApi

        self.model = model
        self.revision = revision
        self.progress = progress
        self.sleep = sleep
        self.api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)

    def checkpoint(self) -> Checkpoint:
        """The checkpoint at one commit."""
        info = self._ask("model", lambda: self.api.model_info(self.model, revision=self.revision, files_metadata=True))
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        if _only_gguf(sizes):
            message, hint = formats.gguf_problem(self.model)
            raise HubError(message, hint=hint)
        config = self.json("config.json", info.sha)
        side = next((name for name in _SIDE_FILES if name in sizes), None)
        tensors, weights_bytes = self._weights(sizes, info.sha)
        return Checkpoint(
            model_id=info.id or self.model,
            revision=info.sha,
            gated=bool(info.gated),
            source="hub",
            config=config,
            quant_config=self.json(side, info.sha) if side else None,
            tensors=tensors,
            weights_bytes=weights_bytes,
            files_bytes=self._files_bytes(sizes, weights_bytes),
        )

    def commit(self) -> str:
        """The commit that the revision names."""
        info = self._ask("model", lambda: self.api.model_info(self.model, revision=self.revision))
        return str(info.sha)

    def json(self, name: str, sha: str | None) -> dict[str, Any]:
        path = self._ask(
            name,
            lambda: self.api.hf_hub_download(self.model, name, revision=sha, etag_timeout=10),
        )
        try:
            return parse_json(Path(path).read_bytes(), f"{name} of {self.model}")
        except InputError as error:
            raise HubError(str(error)) from error

    def _weights(self, sizes: dict[str, int], sha: str | None) -> tuple[dict[str, TensorInfo] | None, int | None]:
        if "model.safetensors" in sizes or "model.safetensors.index.json" in sizes:
            self.progress(f"reading the safetensors headers of {self.model}")
            metadata = self._ask(
                "safetensors headers", lambda: self.api.get_safetensors_metadata(self.model, revision=sha)
            )
            tensors = {
                name: TensorInfo(
                    str(tensor.dtype), tuple(tensor.shape), tensor.data_offsets[1] - tensor.data_offsets[0]
                )
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
                return call()
            except Exception as error:  # noqa: BLE001 - sorted below, bugs are raised again
                pause = self._pause(error, attempt, what)
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
        if isinstance(error, errors.SafetensorsParsingError | json.JSONDecodeError):
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


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (
        textwrap.shorten(f"{type(error).__name__}: {lines[0]}", 160, placeholder=" ...")
        if lines
        else type(error).__name__
    )
