"""Download a model from the hub before its engine starts, or wait until another pod has done so.

    download.py fetch|wait

`fetch` goes on with the files that an earlier pod completed (huggingface_hub 2 begins each file anew), compares every
file with the hub's checksums (SHA-256 of large files, the git hash of small ones, the headers' sizes of safetensors),
loads a broken file once more, and leaves a mark beside the cache; a marked model whose files are all there is not
hashed again. Pods that download one model take turns, whatever its revision; what others write into the cache is let
be. `wait` returns when the mark is there. Only huggingface_hub is needed beside the standard library.

With DOWNLOAD_LINK `fetch` leaves a symbolic link to the files there.

Everything ends after DOWNLOAD_SECONDS, and at once on SIGTERM, whatever the hub or the volume does.

Exit codes: 0 done; 1 not done in time (a retry may help); 2 a wrong command line; 3 refused: no such model, no access,
no room, no weights, a certificate that is not believed; 143 on SIGTERM.

Environment: DOWNLOAD_MODEL, DOWNLOAD_REVISION, DOWNLOAD_CACHE, DOWNLOAD_LINK, DOWNLOAD_VERIFY, DOWNLOAD_FORMAT (the
engine's load format), DOWNLOAD_SECONDS; HF_TOKEN and HF_ENDPOINT as huggingface_hub reads them.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import glob
import os
import re
import shutil
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervisor.bounded import clean, end_on_signals, leave, within
from supervisor.download_cache import Cache
from supervisor.download_files import File, RefusedError, problem, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.download_cache import Hold

FIRST_SECONDS = 2.0  # until the first line of progress
PROGRESS_SECONDS = 10.0
LIST_SECONDS = 30.0  # for one read of the hub's list
LIST_BYTES = 1 << 29  # memory that the hub's list of files may take; that of 10,000 files takes a fiftieth
REFUSED = 3
AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
LIBRARIES = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "huggingface_hub", "hf_xet"}
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
NO_WRITE = {errno.EROFS, errno.EACCES, errno.EPERM}
NO_LOCK = {0, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_COMMIT = re.compile(r"[0-9a-f]{40}")


def say(text: str) -> None:
    """One line in the container's log."""
    print("download:", text, flush=True)


@dataclass
class Progress:
    """What the thread that works tells the thread that looks on.

    Attributes:
        doing: what is waited for, for people.
        folder: where contents grow; None while nothing is loaded.
        present: bytes of the model that are in the cache already.
        total: bytes of the model.
        sizes: how large each content may become, by its hash.
        names: the file of a content.
        listing: the hub's list is being read.
        told: what was said and need not be said again.
    """

    doing: str = "starting"
    folder: Path | None = None
    present: int = 0
    total: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    listing: bool = False
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Download:
    """One model on one volume.

    Attributes:
        cache: where it lies.
        link: where a symbolic link to the files is left; None for nowhere.
        verify: hashes are compared.
        load_format: the engine's, by which weights are chosen.
        seconds: how long all of it may take.
        pause_seconds: between two tries.
        deadline: when it must be done, in seconds of time.monotonic().
    """

    cache: Cache
    link: Path | None
    verify: bool
    load_format: str
    seconds: float
    pause_seconds: float
    deadline: float
    progress: Progress = field(default_factory=Progress)

    def fetch(self) -> None:
        """Download until it is complete; raises RefusedError where no retry helps, and OSError."""
        with self._turn() as hold:
            folder = self.cache.marked()
            while folder is None:
                trouble = self._try(hold)
                if trouble:
                    self._tell(f"{trouble}; trying again")
                    self.progress.doing = trouble
                    time.sleep(self.pause_seconds)
                folder = self.cache.marked()
            self.cache.settle(folder.name)
            if self.link is not None:
                self.cache.link(self.link, folder)
        say(f"{self.cache.model} is there")

    def wait(self) -> None:
        """Wait for the mark."""
        lock = self.cache.lock
        while self.cache.marked() is None:
            holder = self.cache.hold() if lock.exists() else None
            self.progress.doing = "waiting for the download" + (f" by {holder.holder()}" if holder else "")
            if holder:
                holder.release()
            time.sleep(self.pause_seconds)
        say(f"{self.cache.model} is there")

    def _tell(self, text: str) -> None:
        """Say what was not said before."""
        if text not in self.progress.told:
            self.progress.told.append(text)
            say(text)

    def refusal(self, error: BaseException) -> str | None:
        """The text of a refusal, or None where a retry may help."""
        kinds, text = {kind.__name__ for kind in type(error).__mro__}, str(error)
        if isinstance(error, OSError) and error.errno in NO_ROOM | NO_WRITE:
            return f"{error.strerror} ({error.filename or self.cache.folder})"
        if "CERTIFICATE_VERIFY_FAILED" in text or isinstance(error, ssl.SSLCertVerificationError):
            return (
                f"the certificate of the hub is not believed ({clean(text)}): name the authority's file in"
                " engine.env.SSL_CERT_FILE, and mount it by extraVolumes and extraVolumeMounts"
            )
        if "GatedRepoError" in kinds:
            return f"{self.cache.model} asks for accepted terms: accept them, and set auth.hfToken.existingSecret"
        if "RepositoryNotFoundError" in kinds:
            return f"{self.cache.model} is not on the hub, or the token may not read it"
        if "HFValidationError" in kinds:
            return f"{clean(self.cache.model)} is no name of the hub ({clean(error)})"
        if "RevisionNotFoundError" in kinds:
            return f"{self.cache.model} has no revision {self.cache.revision}"
        cause = error.__cause__ or error.__context__
        return self.refusal(cause) if cause is not None and "LocalEntryNotFoundError" in kinds else None

    def _try(self, hold: Hold) -> str:
        """One try; why it failed where another may help, else empty. Raises RefusedError where none helps."""
        try:
            self._fetch_once(hold)
        except RefusedError:
            raise
        except Exception as error:
            # networks, hubs and volumes; anything else is a bug, which waiting does not mend
            known = type(error).__module__.split(".")[0] in {
                "httpx",
                "httpx2",
                "httpcore",
                "requests",
                "huggingface_hub",
            }
            if not known and not isinstance(error, OSError):
                raise
            text = self.refusal(error)
            if text is not None:
                raise RefusedError(text) from error
            return f"{type(error).__name__}: {clean(error) or 'no text'}"
        finally:
            self.progress.folder = None
            self.progress.listing = False
        return ""

    def _list(self) -> tuple[str, dict[str, File]]:
        """Commit and wanted files of the revision; raises what huggingface_hub raises, OSError for garbage."""
        from huggingface_hub import HfApi

        self.progress.doing, self.progress.listing = "asking the hub for the list of files", True
        try:
            info = HfApi().model_info(
                self.cache.model, revision=self.cache.revision, files_metadata=True, timeout=LIST_SECONDS
            )
            files = [File.told(sibling) for sibling in info.siblings or ()]
            commit = info.sha
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            if type(error).__module__.startswith("huggingface_hub"):
                raise  # some of its errors are ValueErrors too
            raise OSError(f"the hub's answer is no list of files ({type(error).__name__})") from error
        finally:
            self.progress.listing = False
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise OSError("the hub's answer names no commit")
        return commit, wanted(files, self.load_format)

    def _fetch_once(self, hold: Hold) -> None:
        """The files of the model: list, load, compare, move into the cache, mark."""
        commit, files = self._list()
        size = sum(file.size or 0 for file in files.values())
        self._tell(f"{self.cache.model} at {commit}: {len(files)} files, {size / 1e9:.2f} GB")
        missing = self._missing(commit, files)
        if missing:
            self._load(hold, commit, missing, size)
        self.progress.doing, self.progress.folder = "marking", None
        self.cache.write_mark(commit, files)
        hold.done()
        say(f"complete{' and verified' if self.verify else ''}: {self.cache.snapshot(commit)}")

    def _missing(self, commit: str, files: dict[str, File]) -> dict[str, File]:
        """Files that are not in the cache, or not whole."""
        missing = {}
        for name, file in files.items():
            self.progress.doing = f"comparing {name} in the cache"
            trouble = self.cache.find(commit, file, verify=self.verify)
            if trouble:
                missing[name] = file
            if trouble and (self.cache.snapshot(commit) / name).exists():
                say(f"{clean(name)}: {trouble}; loading it again")
        return missing

    def _load(self, hold: Hold, commit: str, files: dict[str, File], total: int) -> None:
        """Load files beside the cache, compare them, and move them into it."""
        from huggingface_hub import snapshot_download

        self._watch(hold, files, total)
        staged = hold.staged(commit)
        left = {name: file for name, file in files.items() if problem(staged / name, file, verify=False)}
        self._check_room(left)
        for _ in range(2):
            self.progress.doing = "loading"
            # by commit, so that all files are those of one state of the branch
            snapshot_download(
                self.cache.model,
                revision=commit,
                cache_dir=str(hold.parts),
                allow_patterns=sorted(glob.escape(name) for name in files),
            )
            broken = {}
            for name, file in files.items():
                self.progress.doing = f"comparing {name}"
                trouble = problem(staged / name, file, verify=self.verify)
                if trouble:
                    broken[name] = trouble
            if not broken:
                break
            for name, trouble in sorted(broken.items()):
                say(f"{clean(name)}: {trouble}; loading it again")
                discard(staged / name)
        else:
            raise OSError(f"{len(broken)} file(s) stay broken: " + ", ".join(sorted(broken)))
        for name in files:
            self.progress.doing = f"moving {name} into the cache"
            self.cache.publish(commit, name, staged / name)

    def _watch(self, hold: Hold, files: dict[str, File], total: int) -> None:
        """Tell the thread that looks on where contents grow, and how large each may become."""
        known = [file for file in files.values() if file.size is not None]
        self.progress.sizes = {key: file.size or 0 for file in known for key in (file.sha256, file.blob) if key}
        self.progress.names = {key: file.name for file in known for key in (file.sha256, file.blob) if key}
        self.progress.total = total
        self.progress.present = total - sum(file.size or 0 for file in files.values())
        self.progress.folder = hold.blobs()

    def _check_room(self, files: dict[str, File]) -> None:
        """RefusedError when what is missing does not fit."""
        needed = sum(file.size or 0 for file in files.values())
        free = shutil.disk_usage(self.cache.folder).free
        if needed > free:
            raise RefusedError(
                f"{needed / 1e9:.1f} GB are missing, but {self.cache.folder} has room for {free / 1e9:.1f} GB"
            )

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Hold]:
        """One download of the model at a time on one volume; where a volume knows no locks, each has its own folder."""
        hold = self.cache.hold()
        try:
            holder = hold.take()
            while holder is not None:
                self.progress.doing = f"{holder} is downloading {self.cache.model}"
                time.sleep(self.pause_seconds)
                holder = hold.take()
        except OSError as error:
            if error.errno not in NO_LOCK:
                raise
            say(f"the volume knows no locks ({error.strerror}): going on without")
            hold.alone()
        try:
            yield hold
        finally:
            hold.release()


class Onlooker:
    """What the main thread does meanwhile: say how far it is, and end what grows without end."""

    def __init__(self, download: Download) -> None:
        self.download = download
        self.next = time.monotonic() + FIRST_SECONDS
        self.memory = _memory()

    def look(self) -> None:
        """Called several times a second; raises RefusedError for a hub that sends more than it said."""
        progress = self.download.progress
        if progress.listing and _memory() - self.memory > LIST_BYTES:
            raise RefusedError(f"the hub's list of files has no end (above {LIST_BYTES >> 20} MiB)")
        loaded = self._loaded(progress)
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + PROGRESS_SECONDS
        text = progress.doing
        if progress.total and progress.folder is not None:
            text += f", {(progress.present + loaded) / 1e9:.2f} of {progress.total / 1e9:.2f} GB"
        say(f"{clean(text)}; {max(0.0, self.download.deadline - time.monotonic()):.0f} s left")

    def _loaded(self, progress: Progress) -> int:
        """Bytes on the volume; raises RefusedError when one file is larger than the hub said."""
        folder, loaded = progress.folder, 0
        if folder is None:
            return 0
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    loaded += status.st_blocks * 512
                    self._judge(progress, entry.name.partition(".")[0], status.st_size)
        return min(loaded, max(0, progress.total - progress.present))

    @staticmethod
    def _judge(progress: Progress, content: str, size: int) -> None:
        limit = progress.sizes.get(content, max(progress.sizes.values(), default=0))
        if progress.sizes and size > limit:
            name = clean(progress.names.get(content, "a file"))
            raise RefusedError(f"the hub sends more of {name} than the {limit} bytes that it lists")


def _memory() -> int:
    """Bytes that this process has in memory; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def discard(path: Path) -> None:
    """Remove a broken file and what it points to, of our own folder."""
    target = path.resolve()
    path.unlink(missing_ok=True)
    target.unlink(missing_ok=True)


def check_authorities() -> None:
    """Every file of certificates that the environment names is there and holds one; raises RefusedError."""
    for variable in AUTHORITIES:
        path = os.environ.get(variable)
        if not path:
            continue
        if not Path(path).exists():
            raise RefusedError(
                f"{variable} names {clean(path)}, which is not in this container: mount it by extraVolumes and"
                " extraVolumeMounts, or correct engine.env"
            )
        try:
            if Path(path).is_file():
                ssl.create_default_context(cafile=path)
        except (OSError, ValueError) as error:
            raise RefusedError(
                f"{variable} names {clean(path)}, which holds no certificate ({clean(error)})"
            ) from error


def from_environment() -> Download:
    """The download that the environment describes; its time begins now."""
    seconds = float(os.environ.get("DOWNLOAD_SECONDS", "3600"))
    link = os.environ.get("DOWNLOAD_LINK", "")
    model, revision = os.environ["DOWNLOAD_MODEL"], os.environ.get("DOWNLOAD_REVISION") or "main"
    for name, value in (("model", model), ("revision", revision)):
        if ".." in value or value.startswith(("/", ".")) or not value.isprintable() or "\\" in value:
            raise RefusedError(f"the {name} {clean(value)!r} is no name of the hub")
    return Download(
        cache=Cache(Path(os.environ["DOWNLOAD_CACHE"]), model, revision),
        link=Path(link) if link else None,
        verify=os.environ.get("DOWNLOAD_VERIFY", "1") == "1",
        load_format=os.environ.get("DOWNLOAD_FORMAT") or "auto",
        seconds=seconds,
        pause_seconds=float(os.environ.get("DOWNLOAD_PAUSE_SECONDS", "5")),
        deadline=time.monotonic() + seconds,
    )


def attempt(action: str) -> int:
    """Download or wait; the exit code."""
    download: Any = None
    try:
        download = from_environment()
        check_authorities()
        work = download.fetch if action == "fetch" else download.wait
        within(work, download.seconds, Onlooker(download).look)
    except RefusedError as error:
        say(f"refused: {error}")
        return REFUSED
    except TimeoutError:
        say(f"gave up after {download.seconds:.0f} s: {clean(download.progress.doing)}")
        return 1
    except OSError as error:
        refused = download.refusal(error)
        say(refused or clean(error))
        return REFUSED if refused else 1
    return 0


def main(words: list[str]) -> int:
    """The program; its exit code."""
    parser = argparse.ArgumentParser(prog="download.py", allow_abbrev=False)
    parser.add_argument("action", choices=("fetch", "wait"))
    action = parser.parse_args(words).action
    end_on_signals()
    return attempt(action)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
