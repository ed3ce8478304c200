"""`make release VERSION=x.y.z [DRY_RUN=1]`: every step of a release in order, or none.

The tree must be clean, so every edit can be taken back: whatever fails or is interrupted before the commit leaves the
tree as it was. Nothing is pushed; the tag is what .github/workflows/release.yml acts on once a person pushes it.
"""

import datetime as dt
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.writing import write_text
from llm_serving_planner.output import home

from publishing import changelog, metadata
from publishing.archive import NAME, chart_version

BRANCH = "main"
CHECKS = (("make", "check"), ("make", "package"))
Run = Callable[[Sequence[str], Path], int]


def run_here(command: Sequence[str], root: Path) -> int:
    """Run a command with its output in sight; its exit code."""
    return subprocess.run(command, cwd=root, check=False).returncode


def make_release(
    root: Path,
    version: str,
    *,
    dry_run: bool,
    progress: Callable[[str], None],
    run: Run = run_here,
    today: str | None = None,
) -> None:
    """Set the version everywhere, check, commit, tag.

    Args:
        root: the checkout.
        version: SemVer, without a v.
        dry_run: do and check everything, show the difference, then take it back.
        progress: takes one line per step.
        run: runs a command in the checkout; its exit code.
        today: date of the release, YYYY-MM-DD (default: now, UTC).

    Raises:
        InputError: a condition is not met or a check fails; the tree is as it was.
    """
    date = today or dt.datetime.now(tz=dt.UTC).date().isoformat()
    for problem in _problems(root, version):
        if not dry_run:
            raise InputError(problem)
        progress(f"dry run: a release would stop here: {problem}")
    before = _git(root, "rev-parse", "HEAD")
    touched: list[str] | None = None  # unknown until the last file is generated: then all differences are the release's
    done = False
    try:
        _write(root, version, date, progress)
        _step(("make", "generate"), root, run, progress)
        touched = _changed(root)
        for command in CHECKS:
            _step(command, root, run, progress)
        if strange := sorted(set(_changed(root)) - set(touched)):
            raise InputError(
                f"{', '.join(strange)} changed while the checks ran; what they checked is not what is there"
            )
        if dry_run:
            progress(_git(root, "--no-pager", "diff", "--no-color"))
            progress(f"dry run: would commit this and tag v{version}")
            return
        _commit_and_tag(root, version, touched)
        done = True
    finally:
        if not done:
            _take_back(root, before, touched)
    progress(f"released v{version} here; publish it: git push --atomic origin {BRANCH} v{version}")


def _write(root: Path, version: str, date: str, progress: Callable[[str], None]) -> None:
    for path, text in edits(root, version, date).items():
        write_text(path, text)
        progress(f"wrote {path.relative_to(root)}")
    write_text(root / "charts" / NAME / "Chart.yaml", metadata.chart_yaml(root))


def _step(command: Sequence[str], root: Path, run: Run, progress: Callable[[str], None]) -> None:
    progress(f"running {' '.join(command)}")
    if run(command, root):
        raise InputError(f"`{' '.join(command)}` failed; nothing was released, the tree is as it was")


def _commit_and_tag(root: Path, version: str, touched: Sequence[str]) -> None:
    _git(root, "commit", "--quiet", "--message", f"release: {version}\n\n{notes(root, version)}", "--", *touched)
    _git(root, "tag", "--annotate", f"v{version}", "--message", f"{NAME} {version}")


def _changed(root: Path) -> list[str]:
    return _git(root, "diff", "--name-only", "HEAD").splitlines()


def _take_back(root: Path, before: str, touched: Sequence[str] | None) -> None:
    """Undo the release's own changes, and no edit that somebody made while the checks ran."""
    _git(root, "reset", "--soft", "--quiet", before)
    if files := _changed(root) if touched is None else touched:
        _git(root, "checkout", "--quiet", before, "--", *files)


def _problems(root: Path, version: str) -> list[str]:
    """Conditions that are not met.

    Raises:
        InputError: the version is none, or the tree is not clean; a dry run cannot go on either.
    """
    changelog.order(version)
    if dirty := _git(root, "status", "--porcelain"):
        raise InputError(f"the tree is not clean ({len(dirty.splitlines())} files)", hint="commit or stash first")
    found = []
    here = chart_version(root)
    if changelog.order(version) < changelog.order(here):
        found.append(f"VERSION {version} is older than {here} in Chart.yaml")
    if _git(root, "tag", "--list", f"v{version}"):
        found.append(f"the tag v{version} exists; a published version never changes")
    if (branch := _git(root, "branch", "--show-current")) != BRANCH:
        found.append(f"releases are made on {BRANCH}, this is {branch or 'a detached HEAD'}")
    if "example.com" in home.SOURCE + home.CHARTS:
        found.append("generator/llm_serving_planner/output/home.py still names example.com: set SOURCE and CHARTS")
    return found


def edits(root: Path, version: str, date: str) -> dict[Path, str]:
    """Files that carry the version, as path and new text.

    Raises:
        InputError: nothing to release, or a file has lost its version line.
    """
    changes = root / "CHANGELOG.md"
    module = root / "generator" / "llm_serving_planner" / "base" / "version.py"
    chart = root / "charts" / NAME / "Chart.yaml"
    return {
        changes: changelog.release(changes.read_text(encoding="utf-8"), version, date),
        module: _replaced(module, r'^__version__ = ".*"$', f'__version__ = "{version}"'),
        chart: _replaced(chart, r"^version: .*$", f"version: {version}"),
    }


def _replaced(path: Path, pattern: str, line: str) -> str:
    text, count = re.subn(pattern, line, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if count != 1:
        raise InputError(f"{path}: {count} lines match {pattern}; one is expected")
    return text


def notes(root: Path, version: str) -> str:
    """The changelog of a version, for the commit and for the release page."""
    sections = changelog.parse((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    lines = []
    for kind, entries in changelog.current(sections, version).entries.items():
        lines += [f"{kind}:", *(f"- {entry}" for entry in entries), ""]
    return "\n".join(lines).strip()


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()
