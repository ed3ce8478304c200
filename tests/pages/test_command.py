"""`python -m website`: what it writes, what it refuses, with which exit code."""

from pathlib import Path

import pytest
from website import __main__ as command
from website import build, documents


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["website", *words])
    return command.main()


def test_it_writes_the_site_and_says_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files: build.Files = {"index.html": b"<p>index</p>", "plans/mistral-2xt4.html": b"<p>plan</p>"}
    monkeypatch.setattr(build, "site", lambda _root, package: {**files, "package": str(package).encode()})
    assert run(monkeypatch, "--out", str(tmp_path / "site"), "--without-runtime") == 0
    assert capsys.readouterr().err.startswith(f"wrote {len(files) + 1} files, ")
    assert (tmp_path / "site" / "package").read_bytes() == b"None"
    assert (tmp_path / "site" / "plans" / "mistral-2xt4.html").read_bytes() == files["plans/mistral-2xt4.html"]


def test_what_it_cannot_do_is_one_line_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(monkeypatch, "--out", str(tmp_path / "site"), "--cache", str(tmp_path / "cache")) == 1
    assert capsys.readouterr().err == "error: npm is not on PATH: it brings Pyodide, the planner's Python\n"

    def broken(*_: object) -> build.Files:
        raise documents.BrokenLinkError("docs/a.md: the link b.md leads to nothing")

    monkeypatch.setattr(build, "site", broken)
    assert run(monkeypatch, "--out", str(tmp_path / "site"), "--without-runtime") == 1
    assert capsys.readouterr().err == "error: docs/a.md: the link b.md leads to nothing\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(build, "site", lambda *_: {"index.html": b""})
    assert run(monkeypatch, "--out", str(tmp_path / "file" / "site"), "--without-runtime") == 1
    assert "error: " in capsys.readouterr().err
