"""The planner's payload: Pyodide from its npm package, checked, with the Python archive, as one script.

A script, because a page that was opened as a file may load scripts, but neither fetch nor import what lies beside it.
"""

import base64
import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from website.bundle import Library, archive

VERSION = "314.0.7"
# `npm view pyodide@314.0.7 dist.integrity`, read 2026-11-25
INTEGRITY = "sha512-0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="
_CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")


class RuntimeUnavailableError(Exception):
    """The package cannot be had, or is not the one that was reviewed."""


def fetch(cache: Path) -> Path:
    """The package as npm packs it, from `cache` where it is there.

    Raises:
        RuntimeUnavailableError: no npm, no network, or other bytes than reviewed.
    """
    path = cache / f"pyodide-{VERSION}.tgz"
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeUnavailableError("npm is not on PATH: it brings Pyodide, the planner's Python")
        cache.mkdir(parents=True, exist_ok=True)
        words = [npm, "pack", "--silent", "--pack-destination", str(cache), f"pyodide@{VERSION}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode or not path.exists():
            raise RuntimeUnavailableError(f"npm pack pyodide@{VERSION} failed: {done.stderr.strip()[-300:]}")
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        path.unlink()
        raise RuntimeUnavailableError(f"{path.name} is not the package that was reviewed (sha512-{digest}); removed")
    return path


def script(root: Path, package: Path) -> str:
    """The text of assets/runtime.js: worker, Pyodide's files and the archive, compressed and in base64."""
    with tarfile.open(package) as tar:
        members = {name: tar.extractfile(f"package/{name}") for name in (*_CORE, "pyodide-lock.json")}
        data = {name: member.read() for name, member in members.items() if member is not None}
    lock = json.loads(data.pop("pyodide-lock.json"))
    files = {name: _packed(data[name]) for name in _CORE}
    payload = {
        "version": VERSION,
        "lock": {"info": lock["info"], "packages": {}},
        "files": {**files, "archive.zip": _packed(archive(root))},
        "worker": (Path(__file__).parent / "static" / "worker.js").read_text(encoding="utf-8"),
    }
    return f"globalThis.llmServingRuntime = {json.dumps(payload)};\n"


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def notice() -> Library:
    """What a visitor may want to know of Pyodide."""
    about = (
        "Pyodide, with CPython and Emscripten's libraries inside; each under its own licence, which its source holds."
    )
    return Library("Pyodide", VERSION, "MPL-2.0", "https://github.com/pyodide/pyodide", about)
