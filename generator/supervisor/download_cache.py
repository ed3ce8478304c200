"""A model's places on a volume that others use too: huggingface_hub's cache, what is not complete yet, lock and mark.

Several releases, engines that download by themselves and `hf download` share one cache. So nothing is ever removed from
it: files are loaded into a folder of our own beside it, compared, and moved into the cache in one step each. That
folder has one user at a time, who holds the model's lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervisor.bounded import clean
from supervisor.download_files import File, RefusedError, inside, problem

if TYPE_CHECKING:
    from collections.abc import Iterable

MARK_BYTES = 1 << 24
NOTE_BYTES = 4096
ABANDONED_SECONDS = 6 * 3600.0  # a folder without lock that nobody wrote into for so long
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = "*.????????.incomplete"  # of huggingface_hub 2: a random name, with which nobody ever goes on


@dataclass(frozen=True)
class Cache:
    """One revision of a model in one cache.

    Attributes:
        folder: huggingface_hub's cache on the volume.
        model: the model's name on the hub.
        revision: branch, tag or commit.
    """

    folder: Path
    model: str
    revision: str

    @property
    def _name(self) -> str:
        return self.model.replace("/", "--")

    @property
    def own(self) -> Path:
        """Where locks, marks and incomplete files lie."""
        return self.folder / ".llm-serving"

    @property
    def repository(self) -> Path:
        """The model's folder in the cache."""
        return self.folder / f"models--{self._name}"

    @property
    def mark(self) -> Path:
        """The file that says which files are complete."""
        return self.own / f"{self._name}@{self.revision.replace('/', '--')}.json"

    @property
    def lock(self) -> Path:
        """Held by who downloads the model, whatever its revision."""
        return self.own / f"{self._name}.lock"

    def snapshot(self, commit: str) -> Path:
        """The folder of a commit, where an engine finds its files."""
        return self.repository / "snapshots" / commit

    def marked(self) -> Path | None:
        """The folder of an earlier download of this revision that was completed and is still whole, or None."""
        try:
            with self.mark.open("rb") as stream:
                mark = json.loads(stream.read(MARK_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(mark, dict) or not isinstance(mark.get("files"), dict) or not mark["files"]:
            return None
        folder = Path(str(mark.get("folder")))
        expected = self.snapshot(folder.name).relative_to(self.folder)
        if folder != expected or not _COMMIT.fullmatch(folder.name):
            return None
        whole = all(inside(name) and self._has(folder / name, size) for name, size in mark["files"].items())
        return self.folder / folder if whole else None

    def _has(self, name: Path, size: object) -> bool:
        """Whether a file of the cache has that size, and lies in the cache."""
        try:
            place = (self.folder / name).resolve(strict=True)
            return self.folder.resolve() in place.parents and place.is_file() and place.stat().st_size == size
        except (OSError, RuntimeError):
            return False

    def write_mark(self, commit: str, files: Iterable[str]) -> None:
        """The mark, whole or not at all; raises OSError."""
        folder = self.snapshot(commit)
        sizes = {name: (folder / name).stat().st_size for name in files}
        text = json.dumps({"folder": str(folder.relative_to(self.folder)), "files": sizes})
        _replace(self.mark, lambda draft: draft.write_text(text, encoding="utf-8") and None)

    def find(self, commit: str, file: File, *, verify: bool) -> str:
        """What is wrong with a file in the cache; empty for nothing. What another revision brought is linked."""
        place = self.snapshot(commit) / file.name
        trouble = problem(place, file, verify=verify)
        known = self.repository / "blobs" / (file.sha256 or file.blob or "-")
        if trouble and known.is_file() and not problem(known, _as(file, known), verify=verify):
            _link(place, known)
            return ""
        return trouble

    def publish(self, commit: str, name: str, source: Path) -> None:
        """Move a file that was loaded and compared into the cache, in one step; raises OSError."""
        place = self.snapshot(commit) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not source.is_symlink():  # a volume without symbolic links
            _synchronise(source)
            source.replace(place)
            return
        blob = source.resolve()
        _synchronise(blob)
        target = self.repository / "blobs" / blob.name
        target.parent.mkdir(parents=True, exist_ok=True)
        blob.replace(target)
        _link(place, target)
        source.unlink(missing_ok=True)

    def settle(self, commit: str) -> None:
        """What an engine without network needs beside the files: the revision's name, and no list of more files.

        huggingface_hub 2 keeps the list of all files of a commit, by which a snapshot without those that no engine
        reads is incomplete. It writes the list again where it wants one.
        """
        (self.repository / "trees" / f"{commit}.json").unlink(missing_ok=True)
        if self.revision == commit:
            return
        reference = self.repository / "refs" / self.revision
        with contextlib.suppress(OSError, ValueError):
            if reference.read_text(encoding="utf-8") == commit:
                return
        _replace(reference, lambda draft: draft.write_text(commit, encoding="utf-8") and None)

    def link(self, path: Path, folder: Path) -> None:
        """Point a link at a folder of the cache, in one step, so that no reader ever finds half of it."""
        if path.is_dir() and not path.is_symlink():
            raise RefusedError(f"{path} is a folder where a link must be: remove it")
        _replace(path, lambda draft: draft.symlink_to(folder))

    def hold(self) -> Hold:
        """The model's lock, not held yet, and the folder for what is not complete."""
        return Hold(self)


class Hold:
    """The lock of a model.

    Attributes:
        parts: a cache of huggingface_hub for what is not complete yet; known once the lock is held.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.parts = cache.own / "parts"
        cache.own.mkdir(parents=True, exist_ok=True)
        self._file = self._open()
        self._held = False

    def _open(self) -> int:
        path = self.cache.lock
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        with contextlib.suppress(OSError):  # of another user of the volume
            path.chmod(0o664)
        return descriptor

    def take(self) -> str | None:
        """Take it; None when it is held now, else who holds it.

        Raises:
            OSError: the volume knows no locks.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self.holder()
        self._held = True
        self._prove()
        note = json.dumps({"pod": socket.gethostname(), "revision": self.cache.revision, "since": int(time.time())})
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, note.encode(), 0)
        self._sweep(self.parts)
        return None

    def _prove(self) -> None:
        """OSError where a second taker is let in: some volumes say yes to everybody."""
        second = self._open()
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        finally:
            os.close(second)
        raise OSError(0, "it gives one lock to two")

    def alone(self) -> None:
        """Go on without lock: with a folder for this process alone; those that were abandoned are removed."""
        for folder in self.cache.own.glob("parts-*"):
            if _age(folder) > ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
        self.parts = self.cache.own / f"parts-{secrets.token_hex(4)}"

    def holder(self) -> str:
        """Who holds it, as far as the lock's file says."""
        try:
            note: Any = json.loads(os.pread(self._file, NOTE_BYTES, 0))
            seconds = max(0, int(time.time()) - int(note["since"]))
            return f"pod {clean(note['pod'], 63)} (revision {clean(note['revision'], 63)}, for {seconds} s)"
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            return "another pod"

    def staged(self, commit: str) -> Path:
        """The folder in which huggingface_hub leaves what it loads."""
        return self.parts / self.cache.repository.name / "snapshots" / commit

    def blobs(self) -> Path:
        """The folder of the contents that are being loaded."""
        return self.parts / self.cache.repository.name / "blobs"

    def _sweep(self, parts: Path) -> None:
        """Remove what an earlier holder of this lock left half done and nobody goes on with."""
        for part in (parts / self.cache.repository.name / "blobs").glob(_PART):
            part.unlink(missing_ok=True)
        for draft in self.cache.own.glob(f"{self.cache.mark.name}.*.tmp"):
            draft.unlink(missing_ok=True)

    def done(self) -> None:
        """All of it is in the cache: remove the folder of what was not complete."""
        shutil.rmtree(self.parts / self.cache.repository.name, ignore_errors=True)
        shutil.rmtree(self.parts / ".locks" / self.cache.repository.name, ignore_errors=True)
        if not self._held:
            shutil.rmtree(self.parts, ignore_errors=True)

    def release(self) -> None:
        """Give it back."""
        os.close(self._file)


def _as(file: File, blob: Path) -> File:
    """A file whose content lies under its hash: told apart by the snapshot's name alone, which has the suffix."""
    return File(blob.name, file.size, file.sha256, file.blob)


def _age(folder: Path) -> float:
    newest = max((path.lstat().st_mtime for path in (folder, *folder.rglob("*"))), default=0.0)
    return time.time() - newest


def _replace(path: Path, write: Any) -> None:
    """Write a draft beside a path and move it there; whoever is killed in between leaves the path as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        write(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _link(place: Path, blob: Path) -> None:
    """The link from a snapshot to a content, relative as huggingface_hub's; raises OSError."""
    _replace(place, lambda draft: draft.symlink_to(os.path.relpath(blob, place.parent)))


def _synchronise(path: Path) -> None:
    """Have the bytes on the volume before a name says that they are there."""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        os.fsync(stream.fileno())
