"""A copy of the tree in which commands of the documents may write, and the shell that runs them."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# What a command of a document sees of the caller's environment: neither clusters nor credentials, nor the hub.
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")
_FIXED = {"HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "COLUMNS": "120", "PYTHONDONTWRITEBYTECODE": "1", "CI": "1",
          "PYTHONUNBUFFERED": "1"}  # fmt: skip
_MADE = (".venv", "__pycache__", "build", "dist", ".*_cache", "*.egg-info")
_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Done:
    """A command that came to its end; stdout and stderr in the order in which they were written."""

    code: int
    printed: str


def copy_tree(root: Path, folder: Path) -> Path:
    """The tracked and the new files of the tree, modification times kept, with the environment beside them.

    Where `root` is no checkout: everything but what is made in it.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if listed.returncode:
        shutil.copytree(root, folder, ignore=shutil.ignore_patterns(*_MADE))
    for name in filter(None, listed.stdout.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (root / name).exists():
            shutil.copy2(root / name, target)
    (folder / ".venv").symlink_to(root / ".venv")
    return folder


def programs(folder: Path) -> Path:
    """A folder for PATH with `llm-serving`, and with `helm` where the machine has none: see `helm.py`."""
    folder.mkdir(parents=True, exist_ok=True)
    _program(folder / "llm-serving", f'"{sys.executable}" -m llm_serving_planner')
    if shutil.which("helm") is None:
        _program(folder / "helm", f'"{sys.executable}" "{Path(__file__).parent / "helm.py"}"')
    return folder


def _program(path: Path, command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def run(command: str, tree: Path, path: Path) -> Done:
    """Run one command of a document in the copy, as a shell would."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    places = f"{path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tree,
        env={**kept, **_FIXED, "PATH": places, "HOME": str(tree.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    return Done(done.returncode, done.stdout)
