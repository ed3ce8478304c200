"""The folder from which the stand-in engines' image is built: build_context.py FOLDER [PYTHON_VERSION].

    python tests/cluster/build_context.py /tmp/stand-in 3.12
    docker build --tag localhost/stand-in-engine:1 /tmp/stand-in

PYTHON_VERSION is that of the base image (default 3.12). Packages come from the package index as wheels for Linux.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ENGINE = Path(__file__).parent / "engine"
PACKAGES = ("ray==2.60.0", "grpcio>=1.70", "protobuf>=5.27", "huggingface_hub>=1,<3")


def build_context(folder: Path, python_version: str) -> None:
    """Copy the stand-ins and unpack their packages for another Python."""
    shutil.copytree(ENGINE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary", ":all:", "--python-version", python_version, "--platform", "manylinux2014_x86_64"]
    subprocess.run([*command, "--upgrade", "--target", str(folder / "site"), *PACKAGES], check=True)


if __name__ == "__main__":
    build_context(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "3.12")
