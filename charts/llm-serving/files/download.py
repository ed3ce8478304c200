# Made by `make generate` from generator/supervisor/download.py; change that file.
"""Download a model from the hub before its engine starts, or wait until another pod has done so.

    download.py fetch|wait

`fetch` goes on with the files that an earlier pod completed (huggingface_hub 2 begins each file anew), compares every
file with the hub's checksums (SHA-256 of large files, the git hash of small ones, the headers' sizes of safetensors),
loads a broken file once more, and leaves a mark beside the cache; a marked model whose files are all there is not
hashed again. Several pods on one claim take turns. `wait` returns when the mark is there. Only huggingface_hub is
needed beside the standard library.

With DOWNLOAD_LINK `fetch` leaves a symbolic link to the files there.

Exit codes: 0 done; 1 not done in time (a retry may help); 2 a wrong command line; 3 refused: no such model, no access,
no room.

Environment: DOWNLOAD_MODEL, DOWNLOAD_REVISION, DOWNLOAD_CACHE, DOWNLOAD_LINK, DOWNLOAD_VERIFY, DOWNLOAD_SECONDS;
HF_TOKEN and HF_ENDPOINT as huggingface_hub reads them.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import fnmatch
import hashlib
import json
import os
import shutil
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Iterable, Iterator

    from huggingface_hub.hf_api import RepoSibling

PROGRESS_SECONDS = 30.0
BLOCK = 1 << 24
REFUSED = 3
# Second sets of the same weights, and formats that no engine here loads.
IGNORED = (
    "original/*",
    "consolidated*",
    "*.pth",
    "*.onnx",
    "*.msgpack",
    "*.h5",
    "*.ot",
    "*.gguf",
    "*.tflite",
    "onnx/*",
)
BINARIES = ("*.bin", "*.pt")


class RefusedError(Exception):
    """No retry helps; the text is for people."""


def say(text: str) -> None:
    """One line in the container's log."""
    print("download:", text, flush=True)


def wanted(siblings: Iterable[RepoSibling]) -> dict[str, RepoSibling]:
    """Files of the repository that an engine reads, by name."""
    files = {file.rfilename: file for file in siblings}
    ignored = IGNORED + (BINARIES if any(name.endswith(".safetensors") for name in files) else ())
    return {
        name: file for name, file in files.items() if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)
    }


def sha256_of(file: RepoSibling) -> str | None:
    """SHA-256 of a large file as the hub tells it, or None; old and new huggingface_hub differ in the type."""
    lfs: Any = getattr(file, "lfs", None)
    if lfs is None:
        return None
    return str(lfs["sha256"] if isinstance(lfs, dict) else lfs.sha256)


def digest(path: Path, algorithm: HASH) -> str:
    """Hexadecimal hash of a file, read in blocks."""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            algorithm.update(block)
    return algorithm.hexdigest()


def header_problem(path: Path) -> str:
    """What is wrong with the length of a safetensors file, by its own header; empty when nothing is."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        try:
            length = struct.unpack("<Q", stream.read(8))[0]
            header = json.loads(stream.read(length)) if length < size else {}
            end = 8 + length + max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        except (struct.error, ValueError, KeyError, TypeError):
            return "its header is broken"
    return "" if end == size else f"{size} bytes, but its header speaks of {end}"


def problem(path: Path, file: RepoSibling, *, verify: bool) -> str:
    """What is wrong with a downloaded file, by its hashes too where `verify` says so; empty when nothing is."""
    if not path.exists():
        return "it is missing"
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{size} bytes instead of {file.size}"
    expected = sha256_of(file)
    if verify and expected is not None and digest(path, hashlib.sha256()) != expected:
        return f"its SHA-256 is not {expected}"
    blob = getattr(file, "blob_id", None)
    # git's own hash of a small file's content, no protection against attackers
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    if verify and expected is None and blob and digest(path, git) != blob:
        return f"its git hash is not {blob}"
    return header_problem(path) if path.suffix == ".safetensors" else ""


def discard(path: Path) -> None:
    """Remove a broken file and what it points to."""
    target = path.resolve()
    path.unlink(missing_ok=True)
    target.unlink(missing_ok=True)


@dataclass(frozen=True)
class Download:
    """One model on one volume.

    Attributes:
        model: its name on the hub.
        revision: branch, tag or commit.
        cache: huggingface_hub's cache on the volume.
        link: where a symbolic link to the files is left; None for nowhere.
        verify: hashes are compared.
        seconds: how long all of it may take.
        pause_seconds: between two tries.
        deadline: when it must be done, in seconds of time.monotonic().
    """

    model: str
    revision: str
    cache: Path
    link: Path | None
    verify: bool
    seconds: float
    pause_seconds: float
    deadline: float

    @property
    def repository(self) -> Path:
        """The model's folder in the cache."""
        return self.cache / ("models--" + self.model.replace("/", "--"))

    @property
    def mark(self) -> Path:
        """The file that says which files are complete."""
        name = self.model.replace("/", "--") + "@" + self.revision.replace("/", "--")
        return self.cache / ".llm-serving" / f"{name}.json"

    def fetch(self) -> None:
        """Download until it is complete.

        Raises:
            RefusedError: no retry helps.
            TimeoutError: the time is over.
        """
        told = float("-inf")
        with self._turn():
            while not self._marked():
                trouble = self._try()
                if trouble:
                    told = self._pause(trouble, told)
        if self.link is not None:
            self._make_link(self.link)
        say(f"{self.model} is there")

    def wait(self) -> None:
        """Wait for the mark; raises TimeoutError when the time is over."""
        told = float("-inf")
        while not self._marked():
            told = self._pause("waiting for the download", told)
        say(f"{self.model} is there")

    def refusal(self, error: Exception) -> str | None:
        """The text of a refusal, or None where a retry may help."""
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}:
            return f"{error.strerror} ({error.filename or self.cache})"
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "GatedRepoError" in kinds:
            return f"{self.model} asks for accepted terms: accept them, and set auth.hfToken.existingSecret"
        if "RepositoryNotFoundError" in kinds:
            return f"{self.model} is not on the hub, or the token may not read it"
        if "RevisionNotFoundError" in kinds:
            return f"{self.model} has no revision {self.revision}"
        return None

    def _try(self) -> str:
        """One try; why it failed where another may help, else empty. Raises RefusedError where none helps."""
        try:
            self._fetch_once()
        except RefusedError:
            raise
        except Exception as error:
            # networks, hubs and volumes; anything else is a bug, which waiting does not mend
            known = type(error).__module__.split(".")[0] in {"httpx", "httpcore", "requests", "huggingface_hub"}
            if not known and not isinstance(error, OSError):
                raise
            text = self.refusal(error)
            if text is not None:
                raise RefusedError(text) from error
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no text'}"
        return ""

    def _fetch_once(self) -> None:
        """The files of the model: list, load, check, mark."""
        from huggingface_hub import HfApi, snapshot_download

        info = HfApi().model_info(self.model, revision=self.revision, files_metadata=True)
        files = wanted(info.siblings or ())
        # parts under a random name, left by a pod that was killed: nobody will ever go on with them
        for part in (self.repository / "blobs").glob("*.????????.incomplete"):
            part.unlink(missing_ok=True)
        self._check_room(files)
        size = sum(file.size or 0 for file in files.values())
        say(f"{self.model} at {info.sha}: {len(files)} files, {size / 1e9:.2f} GB")
        broken: dict[str, str] = {}
        for _ in range(2):
            folder = Path(
                snapshot_download(
                    self.model, revision=self.revision, cache_dir=str(self.cache), allow_patterns=sorted(files)
                )
            )
            found = {name: problem(folder / name, file, verify=self.verify) for name, file in files.items()}
            broken = {name: text for name, text in found.items() if text}
            if not broken:
                # huggingface_hub 2 keeps the list of all files, by which a snapshot without the ignored ones is
                # incomplete and not found by an engine that is offline
                shutil.rmtree(self.repository / "trees", ignore_errors=True)
                self._write_mark(folder, files)
                say(f"complete{' and verified' if self.verify else ''}: {folder}")
                return
            for name, text in sorted(broken.items()):
                say(f"{name}: {text}; loading it again")
                discard(folder / name)
        raise OSError(f"{len(broken)} file(s) stay broken: " + ", ".join(sorted(broken)))

    def _check_room(self, files: dict[str, RepoSibling]) -> None:
        """RefusedError when what is missing does not fit."""
        present = sum(path.stat().st_size for path in (self.repository / "blobs").glob("*"))
        needed = sum(file.size or 0 for file in files.values()) - present
        free = shutil.disk_usage(self.cache).free
        if needed > free:
            raise RefusedError(f"{needed / 1e9:.1f} GB are missing, but {self.cache} has room for {free / 1e9:.1f} GB")

    def _marked(self) -> bool:
        """Whether an earlier download of this revision was completed and its files are still there."""
        try:
            mark = json.loads(self.mark.read_text(encoding="utf-8"))
            folder = self.cache / mark["folder"]
            return all((folder / name).stat().st_size == size for name, size in mark["files"].items())
        except (OSError, ValueError, KeyError):
            return False

    def _write_mark(self, folder: Path, files: Iterable[str]) -> None:
        """The mark, whole or not at all."""
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        sizes = {name: (folder / name).stat().st_size for name in files}
        draft = self.mark.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps({"folder": str(folder.relative_to(self.cache)), "files": sizes}), encoding="utf-8")
        draft.replace(self.mark)

    def _make_link(self, path: Path) -> None:
        """Point the link at the marked folder, in one step, so that no reader ever finds half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        draft.symlink_to(self.cache / json.loads(self.mark.read_text(encoding="utf-8"))["folder"])
        draft.replace(path)

    def _pause(self, text: str, told: float) -> float:
        """Wait a little; says why now and then. Returns when it last said so; raises TimeoutError at the deadline."""
        if time.monotonic() >= self.deadline:
            raise TimeoutError(f"gave up after {self.seconds:.0f} s: {text}")
        if time.monotonic() - told >= PROGRESS_SECONDS:
            say(f"{text}; {self.deadline - time.monotonic():.0f} s left")
            told = time.monotonic()
        time.sleep(self.pause_seconds)
        return told

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One download at a time on one volume; where a volume knows no locks, huggingface_hub's own must do."""
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        told = float("-inf")
        with self.mark.with_suffix(".lock").open("a", encoding="utf-8") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    told = self._pause("another pod is downloading", told)
                except OSError as error:
                    say(f"the volume knows no locks ({error.strerror}): going on without")
                    break
            yield


def from_environment() -> Download:
    """The download that the environment describes; its time begins now."""
    seconds = float(os.environ.get("DOWNLOAD_SECONDS", "3600"))
    link = os.environ.get("DOWNLOAD_LINK", "")
    return Download(
        model=os.environ["DOWNLOAD_MODEL"],
        revision=os.environ.get("DOWNLOAD_REVISION") or "main",
        cache=Path(os.environ["DOWNLOAD_CACHE"]),
        link=Path(link) if link else None,
        verify=os.environ.get("DOWNLOAD_VERIFY", "1") == "1",
        seconds=seconds,
        pause_seconds=float(os.environ.get("DOWNLOAD_PAUSE_SECONDS", "5")),
        deadline=time.monotonic() + seconds,
    )


def main(words: list[str]) -> int:
    """Download or wait; the exit code."""
    parser = argparse.ArgumentParser(prog="download.py", allow_abbrev=False)
    parser.add_argument("action", choices=("fetch", "wait"))
    action = parser.parse_args(words).action
    download = from_environment()
    try:
        if action == "fetch":
            download.fetch()
        else:
            download.wait()
    except RefusedError as error:
        say(f"refused: {error}")
        return REFUSED
    except OSError as error:
        refused = download.refusal(error)
        say(refused or str(error))
        return REFUSED if refused else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
