"""The chart as it was: from the last release's tag, or from where this branch began while there is no release."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from llm_serving_planner.base.errors import InputError

ROOT = Path(__file__).parent.parent.parent
CHART = "charts/llm-serving"


def git(root: Path, *words: str) -> str:
    """What a git command prints; empty where it fails."""
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def previous_revision(root: Path = ROOT) -> str:
    """The newest tag v* before this commit, else the merge base with main, else the commit before.

    Raises:
        InputError: None of the three is known.
    """
    if tag := git(root, "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"):
        return tag
    here = git(root, "rev-parse", "HEAD")
    for branch in ("origin/main", "main"):
        base = git(root, "merge-base", "HEAD", branch)
        if base and base != here:
            return base
    if before := git(root, "rev-parse", "--verify", "HEAD^"):
        return before
    raise InputError("no tag v*, no merge base with main and no commit before HEAD: fetch the history and the tags")


def extract(revision: str, folder: Path, root: Path = ROOT) -> Path:
    """Write the chart of a revision below a folder, and give its path there.

    Raises:
        InputError: The revision has no chart.
    """
    words = ["git", "-C", str(root), "archive", "--format=tar", revision, CHART]
    done = subprocess.run(words, capture_output=True, check=False)
    if done.returncode:
        raise InputError(f"{revision} holds no {CHART}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # an argument only from 3.11.4 on
        archive.extractall(folder)
    return folder / CHART
