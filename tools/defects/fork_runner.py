"""Runs tests on one mutant after the other, each in a fork that has the slow imports behind it.

Runs in the copy, with its interpreter: reads lines of JSON {"file", "source", "tests", "seconds"}, writes the mutant,
answers with a line of JSON {"outcome": "killed" | "survived" | "timeout" | "error", "said"}.
"""

import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

import hypothesis  # noqa: F401 - imported for the forks
import jsonschema  # noqa: F401
import pytest
import yaml  # noqa: F401

_LOOK_SECONDS = 0.02
# Plugins that are imported before pytest.main cannot be rewritten, which is no matter here.
_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
# Exit codes of pytest: a mutant that cannot even be imported (2) is noticed as well.
_OUTCOMES = {0: "survived", 1: "killed", 2: "killed"}


def run(tests: list[str], seconds: float) -> tuple[str, str]:
    """Outcome of the tests in a fork, and what failed."""
    # in pytest's usual folder, several runners clear away each other's files, and that looks like a failure
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory(prefix="mutant-") as scratch:
        child = os.fork()
        if child == 0:
            os.setsid()
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            code = int(pytest.main([*_OPTIONS, f"--basetemp={scratch}", *tests]))
            sys.stdout.flush()
            os._exit(code)
        deadline = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return "timeout", f"not finished within {seconds:g} s"
            time.sleep(_LOOK_SECONDS)
        log.seek(0)
        printed = log.read()
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", printed, re.MULTILINE)
    outcome = _OUTCOMES.get(os.waitstatus_to_exitcode(status), "error")
    return outcome, failed[0] if failed else "" if outcome == "survived" else printed[-800:]


def main() -> None:
    """Answer requests until the input ends."""
    step = 0
    for line in sys.stdin:
        asked = json.loads(line)
        path = Path(asked["file"])
        step += 10
        moved = path.stat().st_mtime + step  # in whole seconds, or Python would take the compiled file for current
        path.write_text(asked["source"], encoding="utf-8")
        os.utime(path, (moved, moved))
        outcome, said = run(asked["tests"], asked["seconds"])
        print(json.dumps({"outcome": outcome, "said": said}), flush=True)


if __name__ == "__main__":
    main()
