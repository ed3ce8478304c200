"""One deadline per command, kept from outside of whatever blocks."""

import subprocess
import sys
import time

import pytest
from llm_serving_planner.base.deadline import DeadlineError, deadline

BLOCKS = {
    "a wait that a signal ends": "time.sleep(60)",
    "a library that goes on after any exception": "\nwhile True:\n  try: time.sleep(60)\n  except BaseException: pass",
    "code that never lets Python have its turn": "import re; re.match('(a+)+b', 'a' * 60)",
}


@pytest.mark.parametrize("block", list(BLOCKS))
def test_nothing_outlives_it(block: str) -> None:
    code = (
        "import time, sys\nfrom llm_serving_planner.base.deadline import DeadlineError, deadline\n"
        "try:\n with deadline(0.3, 'error: over', 1):\n  exec(sys.argv[1])\n"
        "except DeadlineError: sys.exit('error: over')"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, BLOCKS[block]], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert time.monotonic() - started < 8
    assert done.stderr in {"error: over\n", ""}  # the timer in C has no words


def test_it_leaves_nothing_behind() -> None:
    with deadline(5, "", 1):
        pass
    with pytest.raises(DeadlineError), deadline(0.05, "", 1):
        time.sleep(5)
