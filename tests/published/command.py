"""The command behind the make targets, as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from support.helm import ROOT


def publishing(*words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m publishing` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "publishing", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools"), **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
