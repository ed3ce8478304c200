"""`make lock`: requirements/*.txt, exact versions with the hashes of every file, for each Python and platform at once.

python tools/lock.py [--upgrade] [--check]

Without --upgrade, versions that still satisfy pyproject.toml stay as they are. --check fails when a file no longer
satisfies pyproject.toml.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "requirements"
# File, and the arguments that say what it locks.
FILES = {
    "runtime.txt": ["pyproject.toml"],
    "dev.txt": ["pyproject.toml", "--group", "dev"],
    "supply.txt": ["--group", "supply"],
    "publish.txt": ["pyproject.toml", "--group", "publish"],
}


def lock(name: str, *, upgrade: bool, output: Path) -> None:
    """Write one file; uv keeps what the output holds already."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--python-version", "3.11", "--no-annotate", "--custom-compile-command", "make lock"]
    command += ["--upgrade"] if upgrade else []
    subprocess.run([*command, "--output-file", str(output), *FILES[name]], check=True, cwd=ROOT)


def main() -> int:
    """Exit code: 0, or 1 when --check found a stale file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    stale = []
    for name in FILES:
        path = FOLDER / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        lock(name, upgrade=arguments.upgrade, output=path)
        if path.read_text(encoding="utf-8") != before:
            stale.append(name)
            if arguments.check:
                path.write_text(before, encoding="utf-8")
    for name in stale:
        print(f"{'stale' if arguments.check else 'wrote'}: requirements/{name}", file=sys.stderr)
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
