"""group.py as its pods run it: the command line, two members in two processes, signals, exit codes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.ports import unused_port
from support.programs import BARE, FILES, UNCOMPILED, run_program

ALONE = {"GROUP_RANK": "0", "GROUP_SIZE": "1", "GROUP_LEADER": "127.0.0.1"}
# The program with ports of its own, because two members of this machine cannot share those of a pod.
ON_OTHER_PORTS = """
import asyncio, dataclasses, os, sys
sys.path.insert(0, sys.argv.pop(1))
import group
group.HEALTH_PORT, port = json.loads(sys.argv.pop(1))
settings = dataclasses.replace(group.read_settings(sys.argv[1:]), port=port, retry_seconds=0.1)
os._exit(asyncio.run(group.main(settings)))
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--executor", "mpi", "--", "vllm"), "argument --executor: invalid choice: 'mpi'"),
        (("--exec", "mp", "--", "vllm"), "unrecognized arguments: --exec mp"),
        (("--data", "2", "--api-servers", "--", "vllm"), "argument --api-servers: expected one argument"),
        (("--data", "two", "--", "vllm"), "argument --data: invalid int value: 'two'"),
        (("2", "--", "vllm"), "unrecognized arguments: 2"),
        (("--executor", "mp", "--"), "the engine's command must follow --"),
        (("--executor", "mp"), "the engine's command must follow --"),
        ((), "the engine's command must follow --"),
    ],
)
def test_a_wrong_command_line_is_refused(words: tuple[str, ...], message: str) -> None:
    done = run_program("group.py", *words, env=ALONE, python=BARE)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"group.py: error: {message}" in done.stderr


def test_what_follows_the_first_two_dashes_is_the_engines_alone() -> None:
    """Whatever it looks like; the exit code is the engine's."""
    engine = (sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "--data", "--", "--help")
    done = run_program("group.py", "--executor", "mp", "--", *engine, env=ALONE, python=BARE)
    assert (done.returncode, done.stderr) == (7, "")
    assert "['--data', '--', '--help', '--nnodes', '1', '--node-rank', '0'" in done.stdout
    assert done.stdout.startswith("group: rank 0 of 1, executor mp, leader 127.0.0.1\n")
    assert done.stdout.endswith("group: the engine ended with code 7\n")


def member(rank: int, port: int, folder: Path) -> "subprocess.Popen[str]":
    engine = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    command = [sys.executable, UNCOMPILED, *BARE, "-c", "import json" + ON_OTHER_PORTS, str(FILES)]
    command += [json.dumps([unused_port(), port]), "--", "/bin/sh", "-c"]
    command += [f"exec {sys.executable} -c '{engine}' {folder}/$GROUP_RANK"]
    env = {**ALONE, "PATH": os.environ["PATH"], "GROUP_SIZE": "2", "GROUP_RANK": str(rank), "GROUP_WAIT_SECONDS": "20"}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("told", [0, 1])
def test_two_members_form_a_group_and_stop_together(tmp_path: Path, told: int) -> None:
    """Whichever pod is told to stop."""
    port = unused_port()
    members = [member(rank, port, tmp_path) for rank in (0, 1)]
    try:
        lines = [_until(one, "group: starting: ") for one in members]
        assert all("--node-rank" in line for line in lines)
        members[told].send_signal(signal.SIGTERM)
        printed = [one.communicate(timeout=20)[0] for one in members]
    finally:
        for one in members:
            one.kill()
            one.communicate()
    assert "stopping: running answers may end" in printed[0]
    assert [one.returncode for one in members] == ([0, 0] if told else [0, 1]), printed


def _until(process: "subprocess.Popen[str]", start: str) -> str:
    """The first line that begins so."""
    assert process.stdout is not None
    return next(line for line in process.stdout if line.startswith(start))
