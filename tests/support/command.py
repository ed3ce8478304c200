"""The command line: in this process, where the command is the subject; in one of its own, where the process is."""

import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from llm_serving_planner.cli.main import main

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"


def environment(cwd: Path | None, env: dict[str, str]) -> dict[str, str]:
    """What the command sees: nothing of the caller's but PATH."""
    return {"PATH": os.environ["PATH"], "HOME": str(cwd or "/"), **env}


@contextlib.contextmanager
def _printing() -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Stdout and stderr as a pipe would get them, and an empty stdin."""
    out, err = io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(raw, encoding="utf-8", write_through=True) for raw in (out, err)]
    with patch("sys.stdin", io.TextIOWrapper(io.BytesIO())), contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(streams[0]))
        stack.enter_context(contextlib.redirect_stderr(streams[1]))
        yield out, err
        for stream in streams:
            stream.detach()


def run(*words: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """The command as a user types it, in this process: starting Python costs more than most commands."""
    seen = {"COLUMNS": "80", **environment(cwd, env)}
    with patch.dict(os.environ, seen, clear=True), contextlib.chdir(cwd or "."), _printing() as (out, err):
        try:
            code: int | str | None = main(words)
        except SystemExit as ended:  # argparse's way
            code = ended.code
    texts = (out.getvalue().decode(), err.getvalue().decode())
    return subprocess.CompletedProcess(["llm-serving", *words], int(code or 0), *texts)


def run_process(
    *words: str, cwd: Path | None = None, limit: int | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; `limit` is the largest file in bytes that it may write.

    Under a limit Python would cut what it compiles, too, and everybody's next import would fail: it writes none there.
    """
    if limit is not None:
        env["PYTHONDONTWRITEBYTECODE"] = "1"

    def small_disk() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-B", "-m", "llm_serving_planner", *words],  # a limit would cut compiled modules short
        capture_output=True, text=True, cwd=cwd, check=False, preexec_fn=small_disk, env=environment(cwd, env),
    )  # fmt: skip
