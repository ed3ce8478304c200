"""Files of others are regular ones, bounded; what is written replaces nothing but a regular file."""

import os
import re
import socket
import stat
from pathlib import Path

import pytest
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.files import read_bytes, read_text
from llm_serving_planner.base.printable import harmless, one_line
from llm_serving_planner.base.writing import check_target, write_text
from support.command import MISTRAL, run, run_process


def special(folder: Path) -> dict[str, Path]:
    """One path of each kind that is no regular file."""
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "socket"))
    (folder / "link").symlink_to("/dev/null")
    return {"a named pipe": folder / "pipe", "a folder": folder / "folder", "a device": folder / "link"}


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    for kind, path in special(tmp_path).items():
        with pytest.raises(InputError, match=f"is {kind}; a regular file is expected"):
            read_bytes(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_bytes(tmp_path / "socket")
    with pytest.raises(InputError, match="is a device"):
        read_bytes(Path("/dev/zero"))


def test_files_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert read_text(tmp_path / "x", most=3) == "abc"
    with pytest.raises(InputError, match="is longer than 2 bytes"):
        read_bytes(tmp_path / "x", most=2)


@pytest.mark.parametrize("command", ["validate", "plan", "check", "machineset", "values", "preflight"])
def test_no_command_waits_for_a_pipe(tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    (tmp_path / "model").mkdir()
    os.mkfifo(tmp_path / "model" / "config.json")
    words = {
        "validate": ["x.yaml"],
        "plan": ["./model", "--profile", "2xt4"],
        "check": ["x.yaml"],
        "machineset": ["--profile", "g5.xlarge", "--cluster-facts", "x.yaml"],
        "values": [MISTRAL, "--profile", "x.yaml", "--offline"],
        "preflight": ["-f", "x.yaml"],
    }[command]
    done = run(command, *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(r"error: \S+: is a named pipe; a regular file is expected\n", done.stderr)


def commands(output: str) -> dict[str, list[str]]:
    return {
        "values": ["values", MISTRAL, "--profile", "2xt4", "--offline", "-o", output],
        "machineset": ["machineset", "--profile", "g5.xlarge", "--form", "gpu-operator", "-o", output],
        "profiles": ["profiles", "--from-cluster", "-o", output],
        "plot": ["advise", MISTRAL, "--offline", "--plot", output],
    }


@pytest.mark.parametrize("command", list(commands("")))
def test_no_command_replaces_what_is_no_regular_file(tmp_path: Path, command: str) -> None:
    pipe = tmp_path / "x.svg"
    os.mkfifo(pipe)
    done = run(*commands("x.svg")[command], cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: x.svg: is a named pipe; only a regular file is replaced\n")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_stays_and_its_file_is_written_with_its_rights(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "real.yaml", tmp_path / "x.yaml"
    target.write_text("old\n")
    target.chmod(0o600)
    link.symlink_to("there/real.yaml")
    done = run("values", MISTRAL, "--profile", "2xt4", "--offline", "-o", "x.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert link.is_symlink()
    assert "mistralai" in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    (tmp_path / "dangling").symlink_to("there/new.yaml")
    write_text(tmp_path / "dangling", "new\n")
    assert (tmp_path / "there" / "new.yaml").read_text() == "new\n"
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "circle", "")


def test_devices_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    for path in ("/dev/null", "/dev/full", "/dev/stdout"):
        done = run_process("values", "org/unknown", "--profile", "2xt4", "--offline", "-o", path, cwd=tmp_path)
        assert done.returncode == 1
        assert f"{path}: is a" in done.stderr
        assert "only a regular file is replaced" in done.stderr
    check_target(tmp_path / "new")


def test_controls_are_spelled_out() -> None:
    assert harmless("a\x1b[2Jb\x07\u202ec\td\n") == "a\\x1b[2Jb\\x07\\u202ec\td\n"
    assert harmless("äöü 😀 中") == "äöü 😀 中"
    assert one_line("error\nnote: all is well\x9b") == "error note: all is well\\x9b"
    assert len(one_line("x" * 10_000, 100)) < 110


def test_a_servers_controls_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b]0;x\x07.yaml").write_text("replicas: x\n")
    done = run("validate", "a\x1b]0;x\x07.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    assert "a\\x1b]0;x\\x07.yaml" in done.stderr
