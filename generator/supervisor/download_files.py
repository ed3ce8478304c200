"""Which files of a repository an engine reads, and whether one of them on the volume is whole.

Only the standard library: what the hub told is given as it was told.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import struct
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Iterable
    from pathlib import Path

BLOCK = 1 << 24
HEADER_BYTES = 100_000_000  # the format's own limit: huggingface/safetensors, tensor.rs, MAX_HEADER_SIZE (2026-11-29)
# Formats that no engine here loads, and copies of the same weights in them.
IGNORED = ("original/*", "*.onnx", "*.msgpack", "*.h5", "*.ot", "*.tflite", "onnx/*", "openvino/*")
# Left behind by training; none of them is read again.
TRAINING = ("training_args.bin", "optimizer.*", "scheduler.*", "scaler.pt", "rng_state*")
# Sets of weights by patterns of file names. Where Hugging Face's and Mistral's own lie side by side, vLLM prefers the
# latter where it sees both (0.33.0, model_executor/model_loader/default_loader.py, _prepare_weights, read 2026-11-29);
# offline it sees what was downloaded, and Hugging Face's is what every engine reads.
SETS = {
    "safetensors": ("*.safetensors",),
    "mistral": ("consolidated*.safetensors",),
    "bin": ("*.bin",),
    "pt": ("*.pt",),
    "gguf": ("*.gguf",),
    "pth": ("*.pth",),
    "tensors": ("*.tensors",),
}
# By --load-format, which of them; every other format reads what `auto` does.
AUTO = ("safetensors", "mistral", "bin", "pt", "gguf")
FORMATS = {
    "mistral": ("mistral",),
    "hf": ("safetensors", "bin", "pt"),
    "safetensors": ("safetensors",),
    "fastsafetensors": ("safetensors",),
    "instanttensor": ("safetensors",),
    "runai_streamer": ("safetensors",),
    "sharded_state": ("safetensors",),
    "npcache": ("bin",),
    "pt": ("pt",),
    "gguf": ("gguf",),
    "tensorizer": ("tensors",),
    "dummy": (),
}
_SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")


class RefusedError(Exception):
    """No retry helps; the text is for people."""


@dataclass(frozen=True)
class File:
    """One file of a repository as the hub tells it.

    Attributes:
        name: its path in the repository.
        size: bytes; None where the hub does not tell.
        sha256: of its content, for large files; None for small ones.
        blob: git's hash of its content; None where the hub does not tell.
    """

    name: str
    size: int | None
    sha256: str | None
    blob: str | None

    @classmethod
    def told(cls, sibling: Any) -> File:
        """From huggingface_hub's RepoSibling; old and new versions differ in the type of `lfs`.

        Raises:
            RefusedError: its name leads out of the repository.
            ValueError: what the hub told has another shape.
        """
        name, size = sibling.rfilename, sibling.size
        if not isinstance(name, str) or not (size is None or (isinstance(size, int) and size >= 0)):
            raise ValueError("a file without name or size")
        if not inside(name):
            raise RefusedError(f"the repository has a file {name[:200]!r}, which leads out of its folder")
        lfs: Any = getattr(sibling, "lfs", None)
        sha256 = None if lfs is None else str(lfs["sha256"] if isinstance(lfs, dict) else lfs.sha256)
        blob = getattr(sibling, "blob_id", None)
        return cls(name, size, sha256, str(blob) if blob else None)


def inside(name: object) -> bool:
    """Whether a name is a path below the folder that it is resolved in, on every system."""
    if not isinstance(name, str) or not name or "\\" in name or not name.isprintable():
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name and name != "."


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _kind(name: str) -> str | None:
    """The set of weights that a file belongs to; None where it is none."""
    own = PurePosixPath(name).name
    if _matches(own, TRAINING):
        return "training"
    if _matches(own, SETS["mistral"]):
        return "mistral"
    return next((kind for kind, patterns in SETS.items() if _matches(own, patterns)), None)


def wanted(files: Iterable[File], load_format: str = "auto") -> dict[str, File]:
    """Files of the repository that an engine reads, by name.

    One set of weights is enough; a module of sentence-transformers (a folder of a repository with modules.json) has a
    set of its own.

    Raises:
        RefusedError: there are no weights of that format, or several models in GGUF.
    """
    found = {file.name: file for file in files if not _matches(file.name, IGNORED)}
    kinds = {name: _kind(name) for name in found}
    top = {name: kind for name, kind in kinds.items() if kind and "/" not in name}
    order = FORMATS.get(load_format, AUTO)
    chosen = _first(order, top.values()) or _first(order, (kind for kind in kinds.values() if kind))
    if order and chosen is None:
        raise RefusedError(
            f"the repository holds no weights that the engine loads with load format {load_format}"
            f" (its {len(found)} files: {', '.join(sorted(found)[:8])}{', ...' if len(found) > 8 else ''})"
        )
    _one_model(name for name, kind in kinds.items() if kind == chosen == "gguf")
    modules = _modules(kinds) if "modules.json" in found else set()
    return {name: file for name, file in found.items() if kinds[name] in {None, chosen} or name in modules}


def _first(order: Iterable[str], kinds: Iterable[str]) -> str | None:
    there = set(kinds)
    return next((kind for kind in order if kind in there), None)


def _modules(kinds: dict[str, str | None]) -> set[str]:
    """Weights of the modules of sentence-transformers: of each folder the first set that it has."""
    folders: dict[str, dict[str, str]] = {}
    for name, kind in kinds.items():
        folder, _, _ = name.rpartition("/")
        if folder and kind in {"safetensors", "bin"}:
            folders.setdefault(folder, {})[name] = kind
    return {
        name
        for own in folders.values()
        for name, kind in own.items()
        if kind == _first(("safetensors", "bin"), own.values())
    }


def _one_model(names: Iterable[str]) -> None:
    """Refuse several models in GGUF: one that is cut into several files is one; a projector is none."""
    models = sorted({_SHARD.sub("", name) for name in names if not PurePosixPath(name).name.startswith("mmproj")})
    if len(models) > 1:
        raise RefusedError(
            f"the repository holds {len(models)} models in GGUF ({', '.join(models[:4])}"
            f"{', ...' if len(models) > 4 else ''}), of which an engine reads one. Put that one onto a claim"
            " (model.source.type pvc, or model.path)"
        )


def digest(path: Path, algorithm: HASH) -> str:
    """Hexadecimal hash of a file, read in blocks."""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            algorithm.update(block)
    return algorithm.hexdigest()


def header_problem(path: Path) -> str:
    """What is wrong with the length of a safetensors file, by its own header; empty when nothing is."""
    size = path.stat().st_size
    broken = "its header is broken"
    with path.open("rb") as stream:
        try:
            length: int = struct.unpack("<Q", stream.read(8))[0]
            if length > min(size - 8, HEADER_BYTES):
                return broken
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            end = 8 + length + max(ends, default=0)
        except (struct.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return broken
    return "" if end == size else f"{size} bytes, but its header speaks of {end}"


def problem(path: Path, file: File, *, verify: bool) -> str:
    """What is wrong with a downloaded file, by its hashes too where `verify` says so; empty when nothing is."""
    if not path.is_file():
        return "it is missing"
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{size} bytes instead of {file.size}"
    if verify and file.sha256 is not None and digest(path, hashlib.sha256()) != file.sha256:
        return f"its SHA-256 is not {file.sha256}"
    # git's own hash of a small file's content, no protection against attackers
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    if verify and file.sha256 is None and file.blob and digest(path, git) != file.blob:
        return f"its git hash is not {file.blob}"
    return header_problem(path) if path.suffix == ".safetensors" else ""
