"""Ctrl-C in the middle of a run: nothing stays on the cluster."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster.conftest import MARK, RUN
from cluster.faults import until
from cluster.needs import kubectl
from support.helm import ROOT
from testbed.node_resources import nodes

pytestmark = pytest.mark.faults
TARGET = "tests/cluster/test_faults_rollout.py"
# A shell starts what it puts into the background deaf to SIGINT, and that is inherited.
HEARING = (
    "import signal, sys, pytest; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "sys.exit(pytest.main(sys.argv[1:]))"
)


@pytest.mark.parametrize(("workers", "how"), [("0", signal.SIGINT), ("1", signal.SIGINT), ("1", signal.SIGTERM)])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, workers: str, how: signal.Signals) -> None:
    """A signal to all processes, as a terminal sends it, while a release with a made-up GPU is being upgraded."""
    words = [sys.executable, "-c", HEARING, "-p", "no:cacheprovider", TARGET, "-k", "gpu_is_taken and surge"]
    words += ["--numprocesses", workers] if workers != "0" else ["-p", "no:xdist"]
    environment = {key: value for key, value in os.environ.items() if key != RUN and "XDIST" not in key}
    environment |= {"LLM_SERVING_TEST_REPORTS": str(tmp_path)}
    output = tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            words, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )

    def run() -> str:
        found = re.search(rf"{re.escape(MARK)}=(\S+)", output.read_text())
        return found.group(1) if found else ""

    def left() -> list[str]:
        named = kubectl("get", "namespaces", "-l", f"{MARK}={run()}", "-o", "name").stdout.split()
        resources = [resource for node in nodes() for resource in node["status"].get("capacity", {})]
        return named + [resource for resource in resources if resource.startswith(f"{run()}.")]

    try:
        until("the run's name", run, 60)
        until("the release and its GPU", lambda: len(left()) >= 2, 90)
        os.killpg(process.pid, how)
        code = process.wait(240)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert code == pytest.ExitCode.INTERRUPTED, output.read_text()[-3000:]
    assert left() == [], output.read_text()[-3000:]
