"""What the package knows of a version of vLLM, read from its wheel: flags, parsers, classes, metrics."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.engines.versions import parse_version

from data import vllm_flags, vllm_metrics, vllm_support

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "generator" / "llm_serving_planner" / "data"
CACHE = ROOT / "build" / "vllm"
FLAGS, SUPPORT, METRICS = (DATA / name for name in ("vllm_flags.json", "vllm_support.json", "metrics.json"))
PLATFORM = "manylinux_2_28_x86_64"  # of the default wheel, whatever runs this; only its Python files are read


def download(version: str) -> Path:
    """The wheel from PyPI, some 340 MB, or the one that an earlier run left in build/vllm.

    The source distribution would be smaller, but pip asks it for its metadata, and answering takes an installed torch.

    Raises:
        InputError: pip does not get it.
    """
    parse_version(version)
    words = ["--no-deps", "--only-binary", ":all:", "--platform", PLATFORM, "--dest", str(CACHE), f"vllm=={version}"]
    done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *words], check=False)
    wheels = sorted(CACHE.glob(f"vllm-{version}-*.whl"))
    if done.returncode or not wheels:
        raise InputError(f"pip download vllm=={version} failed", hint="give a wheel with --wheel FILE")
    return wheels[0]


@contextmanager
def unpacked(wheel: Path) -> Iterator[Path]:
    """Folder of the package `vllm` with its Python files, as long as the context lasts.

    Raises:
        InputError: the file is no wheel.
    """
    with TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder, [name for name in archive.namelist() if name.endswith(".py")])
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{wheel}: {error}") from error
        yield Path(folder) / "vllm"


def refreshed(package: Path, version: str, date: str) -> dict[Path, str]:
    """The three tables with what a version says: text by path. What stays the same keeps its date.

    Args:
        package: folder of the package `vllm`.
        version: its version.
        date: today, as it stands beside what changes.

    Raises:
        InputError: a table is not where this version of the tool knows it.
    """
    flags, support, metrics = (json.loads(path.read_text(encoding="utf-8")) for path in (FLAGS, SUPPORT, METRICS))
    if parse_version(version) >= parse_version(flags["newest"]):  # of an older one the table knows what it can
        new = vllm_flags.merged(flags, version, vllm_flags.read(package))
        flags = flags if new == flags else {**new, "date": date, "source": vllm_flags.SOURCE}
    found: dict[str, Any]
    for table, found in ((support, vllm_support.read(package)), (metrics["vllm"], vllm_metrics.read(package))):
        if table["versions"].get(version) != found:
            table["date"] = date
        versions = {**table["versions"], version: found}
        table["versions"] = {name: versions[name] for name in sorted(versions, key=parse_version)}
    return {
        FLAGS: vllm_flags.text_of(flags),
        SUPPORT: json.dumps(support, indent=1) + "\n",
        METRICS: json.dumps(metrics, indent=1) + "\n",
    }
