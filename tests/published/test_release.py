"""`make release` on a checkout of its own: every step, or the tree as it was."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.output import home
from publishing import changelog, release
from publishing.__main__ import stop_as_by_ctrl_c
from support.helm import ROOT

PARTS = ("charts", "values", "generator/llm_serving_planner/base/version.py", "CHANGELOG.md")
VERSION = "7.0.0"


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with what a release edits, on main, with a home."""
    folder = tmp_path / "checkout"
    for part in PARTS:
        target = folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    text = (folder / "CHANGELOG.md").read_text()
    (folder / "CHANGELOG.md").write_text(
        text.replace("## [Unreleased]\n", "## [Unreleased]\n\n### Security\n\n- the entry of this test\n", 1)
        if "### Security" not in text.split("\n## [")[1]
        else text
    )
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "config", "user.name", "Releaser")
    git(folder, "config", "user.email", "releaser@example.org")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "start")
    monkeypatch.setattr(home, "SOURCE", "https://git.example.org/me/llm-serving")
    monkeypatch.setattr(home, "CHARTS", "oci://registry.example.org/charts")
    return folder


class Runner:
    """Records the commands; fails at the one that contains `fail`."""

    def __init__(self, fail: str = "nothing") -> None:
        self.commands: list[str] = []
        self._fail = fail

    def __call__(self, command: Sequence[str], root: Path) -> int:
        self.commands.append(" ".join(command))
        if self._fail == "interrupt":
            raise KeyboardInterrupt
        if self._fail.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self._fail))
        return int(self._fail in self.commands[-1])


def make(folder: Path, version: str = VERSION, *, dry_run: bool = False, run: Runner | None = None) -> list[str]:
    lines: list[str] = []
    release.make_release(
        folder, version, dry_run=dry_run, progress=lines.append, run=run or Runner(), today="2026-12-01"
    )
    return lines


def state(folder: Path) -> tuple[str, str, str]:
    return git(folder, "rev-parse", "HEAD"), git(folder, "status", "--porcelain"), git(folder, "tag")


def test_a_release_forgets_no_step(checkout: Path) -> None:
    run = Runner()
    lines = make(checkout, run=run)
    assert run.commands == ["make generate", "make check", "make package"]
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "tag") == f"v{VERSION}"
    assert git(checkout, "cat-file", "-t", f"v{VERSION}") == "tag"
    subject, _, body = git(checkout, "log", "-1", "--format=%B").partition("\n")
    assert subject == f"release: {VERSION}"
    assert "- the entry of this test" in body
    metadata = yaml.safe_load((checkout / "charts" / "llm-serving" / "Chart.yaml").read_text())
    assert metadata["version"] == VERSION
    changes = yaml.safe_load(metadata["annotations"]["artifacthub.io/changes"])
    assert {"kind": "security", "description": "the entry of this test"} in changes
    assert (
        (checkout / "generator/llm_serving_planner/base/version.py")
        .read_text()
        .endswith(f'__version__ = "{VERSION}"\n')
    )
    newest = changelog.parse((checkout / "CHANGELOG.md").read_text())[1]
    assert (newest.version, newest.date) == (VERSION, "2026-12-01")
    assert lines[-1].endswith(f"git push --atomic origin main v{VERSION}")


def test_a_dry_run_shows_everything_and_changes_nothing(checkout: Path) -> None:
    before = state(checkout)
    run = Runner()
    lines = make(checkout, dry_run=True, run=run)
    assert state(checkout) == before
    assert len(run.commands) == 3
    shown = "\n".join(lines)
    assert f"+## [{VERSION}] - 2026-12-01" in shown
    assert f"+version: {VERSION}" in shown
    assert lines[-1] == f"dry run: would commit this and tag v{VERSION}"


@pytest.mark.parametrize("step", ["generate", "check", "package"])
def test_a_failed_check_leaves_the_tree_as_it_was(checkout: Path, step: str) -> None:
    before = state(checkout)
    with pytest.raises(InputError, match=f"`make {step}` failed; nothing was released"):
        make(checkout, run=Runner(f"make {step}"))
    assert state(checkout) == before


def test_an_edit_made_meanwhile_stops_the_release_and_survives_it(checkout: Path) -> None:
    mine = checkout / "charts" / "llm-serving" / "README.md"

    def run(command: Sequence[str], root: Path) -> int:
        if command[1] == "check":
            mine.write_text("mine\n")
        return 0

    head = git(checkout, "rev-parse", "HEAD")
    with pytest.raises(InputError, match=r"charts/llm-serving/README\.md changed while the checks ran"):
        release.make_release(checkout, VERSION, dry_run=False, progress=lambda _: None, run=run)
    assert git(checkout, "status", "--porcelain") == "M charts/llm-serving/README.md"
    assert mine.read_text() == "mine\n"
    assert (git(checkout, "rev-parse", "HEAD"), git(checkout, "tag")) == (head, "")


def test_a_tag_that_cannot_be_made_takes_the_commit_back(checkout: Path) -> None:
    before = state(checkout)
    hook = checkout / ".git" / "refs" / "tags" / f"v{VERSION}.lock"
    hook.write_text("held by another process")
    with pytest.raises(InputError, match="git tag: "):
        make(checkout)
    hook.unlink()
    assert state(checkout) == before


def test_ctrl_c_leaves_the_tree_as_it_was(checkout: Path) -> None:
    before = state(checkout)
    with pytest.raises(KeyboardInterrupt):
        make(checkout, run=Runner("interrupt"))
    assert state(checkout) == before


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_so_does_a_runner_that_cancels(checkout: Path, name: str) -> None:
    before, old = state(checkout), signal.getsignal(getattr(signal, name))
    try:
        stop_as_by_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            make(checkout, run=Runner(name))
    finally:
        signal.signal(getattr(signal, name), old)
    assert state(checkout) == before


def test_a_dirty_tree_is_refused_and_left_alone(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("mine\n")
    with pytest.raises(InputError, match="the tree is not clean"):
        make(checkout)
    assert (checkout / "CHANGELOG.md").read_text() == "mine\n"


def test_conditions_of_a_release(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, message in (("v1.0.0", r"is not x\.y\.z"), ("0.0.1", r"0\.0\.1 is older than")):
        with pytest.raises(InputError, match=message):
            make(checkout, version)
    git(checkout, "tag", "v8.0.0")
    with pytest.raises(InputError, match=r"the tag v8\.0\.0 exists"):
        make(checkout, "8.0.0")
    git(checkout, "switch", "--quiet", "--create", "feature")
    with pytest.raises(InputError, match="releases are made on main, this is feature"):
        make(checkout)
    git(checkout, "switch", "--quiet", "main")
    monkeypatch.setattr(home, "SOURCE", "https://git.example.com/llm-serving")
    with pytest.raises(InputError, match=r"still names example\.com"):
        make(checkout)
    before = state(checkout)
    lines = make(checkout, dry_run=True)
    assert any("still names example.com" in line for line in lines)
    assert state(checkout) == before


def test_a_second_release_needs_new_entries(checkout: Path) -> None:
    make(checkout)
    before = state(checkout)
    with pytest.raises(InputError, match="there is nothing to release"):
        make(checkout, "7.0.1")
    assert state(checkout) == before
