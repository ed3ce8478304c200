"""The command line, as a process of its own."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"


def run(*words: str, cwd: Path | None = None, limit: int | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; `limit` is the largest file in bytes that it may write."""

    def small_disk() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "llm_serving_planner", *words],
        capture_output=True, text=True, cwd=cwd, check=False, preexec_fn=small_disk,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd or "/"), **env},
    )  # fmt: skip
