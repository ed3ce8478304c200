"""A copy of the tree in which code may be broken, with an environment that imports the copy and nothing else of it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from documents import scratch

# The caller's clusters, credentials and options of pytest must decide nothing. CI: hypothesis draws the same examples.
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")
_FIXED = {"CI": "1", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "COLUMNS": "200", "PYTHONHASHSEED": "0"}


@dataclass(slots=True)
class Copy:
    """The copied tree at `root`; one change at a time.

    A `PYTHONPATH` would not do: tests start the command with an environment of their own, and that would import the
    editable tree. So the copy has a virtual environment whose path holds the copy's generator and, as a
    plain folder, the packages of the caller's, where the file that points to the editable tree has no effect.
    """

    root: Path
    _steps: int = field(default=0)

    @property
    def python(self) -> Path:
        """The interpreter for everything that runs in the copy."""
        return self.root / ".venv" / "bin" / "python"

    def environment(self) -> dict[str, str]:
        """What a program in the copy sees."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        path = f"{self.python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, **_FIXED, "PATH": path, "HOME": str(self.root.parent)}

    def write(self, name: str, text: str) -> None:
        """Change a file. Its time moves by whole seconds, or Python would take the compiled file for current."""
        path = self.root / name
        self._steps += 10
        moved = path.stat().st_mtime + self._steps
        path.write_text(text, encoding="utf-8")
        os.utime(path, (moved, moved))

    def pytest(self, tests: list[str], seconds: float) -> tuple[int, str]:
        """Run tests until the first failure: (exit code, what was printed); code 124 when the time is over."""
        command = [str(self.python), "-m", "pytest", "-x", "-vv", "-p", "no:cacheprovider", *tests]
        try:
            done = subprocess.run(
                command, cwd=self.root, env=self.environment(), capture_output=True, text=True, check=False,
                timeout=seconds, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return 124, f"not finished within {seconds:g} s"
        return done.returncode, done.stdout + done.stderr


class CopyError(Exception):
    """The copy is not what is imported."""


def make_copy(root: Path, folder: Path) -> Copy:
    """Copy the tree below `folder`, which must not lie in it.

    Raises:
        CopyError: programs in the copy would import something else.
    """
    copy = Copy(scratch.copy_tree(root, folder.resolve() / "tree"))
    environment = copy.root / ".venv"
    environment.unlink()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    packages = environment / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    (packages / "copy.pth").write_text(f"{copy.root / 'generator'}\n{sysconfig.get_path('purelib')}\n")
    _check(copy, folder)
    return copy


def _check(copy: Copy, folder: Path) -> None:
    """Ask in the way of the tests that keep least of the environment where the package comes from."""
    code = "import llm_serving_planner, sys; print(llm_serving_planner.__file__, *sys.path, sep='\\n')"
    done = subprocess.run(
        [str(copy.python), "-c", code], cwd=folder, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    found, *path = done.stdout.splitlines()
    if found != str(copy.root / "generator" / "llm_serving_planner" / "__init__.py"):
        raise CopyError(f"{found} is imported, not the copy in {copy.root}")
    others = [place for place in path if place.endswith("/generator") and place != str(copy.root / "generator")]
    if others:
        raise CopyError(f"{', '.join(others)} is on the path beside the copy")


def remove(folder: Path) -> None:
    """Remove a copy."""
    shutil.rmtree(folder, ignore_errors=True)
