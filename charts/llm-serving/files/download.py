"""Download a model from the hub before its engine starts, or wait until another pod has done so.

    download.py fetch|wait

`fetch` goes on with the files that an earlier pod completed (huggingface_hub 2 begins each file anew), compares every
file with the hub's checksums (SHA-256 of large files, the git hash of small ones, the headers' sizes of safetensors),
loads a broken file once more, and leaves a mark beside the cache; a marked model whose files are all there is not
hashed again. Several pods on one claim take turns. `wait` returns when the mark is there. Only huggingface_hub is
needed beside the standard library.

With DOWNLOAD_LINK `fetch` leaves a symbolic link to the files there.

Exit codes: 0 done; 1 not done in time (a retry may help); 3 refused: no such model, no access, no room.

Environment: DOWNLOAD_MODEL, DOWNLOAD_REVISION, DOWNLOAD_CACHE, DOWNLOAD_LINK, DOWNLOAD_VERIFY, DOWNLOAD_SECONDS;
HF_TOKEN and HF_ENDPOINT as huggingface_hub reads them.
"""

import contextlib
import errno
import fcntl
import fnmatch
import hashlib
import json
import os
import pathlib
import shutil
import struct
import sys
import time

MODEL = os.environ["DOWNLOAD_MODEL"]
REVISION = os.environ.get("DOWNLOAD_REVISION") or "main"
CACHE = pathlib.Path(os.environ["DOWNLOAD_CACHE"])
LINK = os.environ.get("DOWNLOAD_LINK", "")
VERIFY = os.environ.get("DOWNLOAD_VERIFY", "1") == "1"
SECONDS = float(os.environ.get("DOWNLOAD_SECONDS", "3600"))
DEADLINE = time.monotonic() + SECONDS
PAUSE_SECONDS = float(os.environ.get("DOWNLOAD_PAUSE_SECONDS", "5"))
PROGRESS_SECONDS = 30
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
REPOSITORY = CACHE / ("models--" + MODEL.replace("/", "--"))
MARK = CACHE / ".llm-serving" / (MODEL.replace("/", "--") + "@" + REVISION.replace("/", "--") + ".json")


class RefusedError(Exception):
    """No retry helps; the text is for people."""


def say(text):
    """One line in the container's log."""
    print("download:", text, flush=True)


def wanted(siblings):
    """Files of the repository that an engine reads, as {name: file}."""
    files = {file.rfilename: file for file in siblings}
    ignored = IGNORED + (BINARIES if any(name.endswith(".safetensors") for name in files) else ())
    return {
        name: file for name, file in files.items() if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)
    }


def sha256_of(file):
    """SHA-256 of a large file as the hub tells it, or None; old and new huggingface_hub differ in the type."""
    lfs = getattr(file, "lfs", None)
    return None if lfs is None else lfs["sha256"] if isinstance(lfs, dict) else lfs.sha256


def digest(path, algorithm):
    """Hexadecimal hash of a file, read in blocks."""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            algorithm.update(block)
    return algorithm.hexdigest()


def header_problem(path):
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


def problem(path, file):
    """What is wrong with a downloaded file; empty when nothing is."""
    if not path.exists():
        return "it is missing"
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{size} bytes instead of {file.size}"
    expected = sha256_of(file)
    if VERIFY and expected is not None and digest(path, hashlib.sha256()) != expected:
        return f"its SHA-256 is not {expected}"
    blob = getattr(file, "blob_id", None)
    # git's own hash of a small file's content, no protection against attackers
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    if VERIFY and expected is None and blob and digest(path, git) != blob:
        return f"its git hash is not {blob}"
    return header_problem(path) if path.suffix == ".safetensors" else ""


def marked():
    """Whether an earlier download of this revision was completed and its files are still there."""
    try:
        mark = json.loads(MARK.read_text(encoding="utf-8"))
        folder = CACHE / mark["folder"]
        return all((folder / name).stat().st_size == size for name, size in mark["files"].items())
    except (OSError, ValueError, KeyError):
        return False


def write_mark(folder, files):
    """The mark, whole or not at all."""
    MARK.parent.mkdir(parents=True, exist_ok=True)
    sizes = {name: (folder / name).stat().st_size for name in files}
    draft = MARK.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps({"folder": str(folder.relative_to(CACHE)), "files": sizes}), encoding="utf-8")
    draft.replace(MARK)


def check_room(files):
    """RefusedError when what is missing does not fit."""
    present = sum(path.stat().st_size for path in (REPOSITORY / "blobs").glob("*"))
    needed = sum(file.size or 0 for file in files.values()) - present
    free = shutil.disk_usage(CACHE).free
    if needed > free:
        raise RefusedError(f"{needed / 1e9:.1f} GB are missing, but {CACHE} has room for {free / 1e9:.1f} GB")


def discard(path):
    """Remove a broken file and what it points to."""
    target = path.resolve()
    path.unlink(missing_ok=True)
    target.unlink(missing_ok=True)


def fetch_once():
    """One whole try: list, load, check, mark."""
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().model_info(MODEL, revision=REVISION, files_metadata=True)
    files = wanted(info.siblings)
    # parts under a random name, left by a pod that was killed: nobody will ever go on with them
    for part in (REPOSITORY / "blobs").glob("*.????????.incomplete"):
        part.unlink(missing_ok=True)
    check_room(files)
    say(f"{MODEL} at {info.sha}: {len(files)} files, {sum(file.size or 0 for file in files.values()) / 1e9:.2f} GB")
    for _ in range(2):
        folder = pathlib.Path(
            snapshot_download(MODEL, revision=REVISION, cache_dir=str(CACHE), allow_patterns=sorted(files))
        )
        broken = {name: found for name, file in files.items() if (found := problem(folder / name, file))}
        if not broken:
            # huggingface_hub 2 keeps the list of all files, by which a snapshot without the ignored ones is incomplete
            # and not found by an engine that is offline
            shutil.rmtree(REPOSITORY / "trees", ignore_errors=True)
            write_mark(folder, files)
            say(f"complete{' and verified' if VERIFY else ''}: {folder}")
            return
        for name, found in sorted(broken.items()):
            say(f"{name}: {found}; loading it again")
            discard(folder / name)
    raise OSError(f"{len(broken)} file(s) stay broken: " + ", ".join(sorted(broken)))


def refusal(error):
    """The text of a refusal, or None where a retry may help."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}:
        return f"{error.strerror} ({error.filename or CACHE})"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "GatedRepoError" in kinds:
        return f"{MODEL} asks for accepted terms: accept them, and set auth.hfToken.existingSecret"
    if "RepositoryNotFoundError" in kinds:
        return f"{MODEL} is not on the hub, or the token may not read it"
    if "RevisionNotFoundError" in kinds:
        return f"{MODEL} has no revision {REVISION}"
    return None


def pause(text, told):
    """Wait a little; says why now and then. Returns when it last said so; raises TimeoutError at the deadline."""
    if time.monotonic() >= DEADLINE:
        raise TimeoutError(f"gave up after {SECONDS:.0f} s: {text}")
    if time.monotonic() - told >= PROGRESS_SECONDS:
        say(f"{text}; {DEADLINE - time.monotonic():.0f} s left")
        told = time.monotonic()
    time.sleep(PAUSE_SECONDS)
    return told


@contextlib.contextmanager
def turn():
    """One download at a time on one volume; where a volume knows no locks, huggingface_hub's own must do."""
    MARK.parent.mkdir(parents=True, exist_ok=True)
    told = float("-inf")
    with MARK.with_suffix(".lock").open("a", encoding="utf-8") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                told = pause("another pod is downloading", told)
            except OSError as error:
                say(f"the volume knows no locks ({error.strerror}): going on without")
                break
        yield


def fetch():
    """Download until it is complete; 0, or an exception."""
    told = float("-inf")
    with turn():
        while not marked():
            try:
                fetch_once()
            except RefusedError:
                raise
            except Exception as error:
                # networks, hubs and volumes; anything else is a bug, which waiting does not mend
                known = type(error).__module__.split(".")[0] in {"httpx", "httpcore", "requests", "huggingface_hub"}
                if not known and not isinstance(error, OSError):
                    raise
                text = refusal(error)
                if text is not None:
                    raise RefusedError(text) from error
                told = pause(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no text'}", told)
    if LINK:
        link()
    say(f"{MODEL} is there")
    return 0


def link():
    """Point DOWNLOAD_LINK at the marked folder, in one step, so that no reader ever finds half of it."""
    path = pathlib.Path(LINK)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.symlink_to(CACHE / json.loads(MARK.read_text(encoding="utf-8"))["folder"])
    draft.replace(path)


def wait():
    """Return 0 when the mark is there."""
    told = float("-inf")
    while not marked():
        told = pause("waiting for the download", told)
    say(f"{MODEL} is there")
    return 0


if __name__ == "__main__":
    try:
        sys.exit({"fetch": fetch, "wait": wait}[sys.argv[1]]())
    except RefusedError as error:
        say(f"refused: {error}")
        sys.exit(REFUSED)
    except OSError as error:
        say(refusal(error) or str(error))
        sys.exit(REFUSED if refusal(error) else 1)
