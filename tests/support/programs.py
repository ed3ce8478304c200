"""The programs of the pods as their pods run them: the chart's copies, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from support.helm import CHART, ROOT, Manifest

FILES = CHART / "files"
STANDIN_TGIS = ROOT / "tests" / "cluster" / "engine" / "tgis.py"
BARE = ("-E", "-s", "-S")
"""Options of a Python that has its standard library and the program's folder, nothing else."""
UNCOMPILED = "-B"
"""A ConfigMap is mounted read-only, and the chart's folder must hold nothing that git does not know."""


def run_program(
    name: str, *words: str, env: dict[str, str], folder: Path = FILES, python: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run one to its end; of this process's environment it sees PATH alone."""
    command = [sys.executable, UNCOMPILED, *python, str(folder / name), *words]
    settings = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=settings, timeout=60)


def tgis_test(target: str, *, deadline: float = 20, authority: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`helm test` of TGIS against HOST:PORT; with an authority's certificate over TLS."""
    env = {"TARGET": target, "MODEL": "m", "DEADLINE_SECONDS": str(deadline)}
    return run_program("test_tgis.py", env=env | ({"CA_FILE": str(authority)} if authority else {}))


def mounted(config_map: Manifest, folder: Path) -> Path:
    """The files of a ConfigMap below `folder` as the kubelet mounts them: links through ..data into a dated folder."""
    dated = folder / "..2026_11_29"
    dated.mkdir(parents=True)
    (folder / "..data").symlink_to(dated.name)
    for name, text in config_map["data"].items():
        (dated / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")
    return folder
