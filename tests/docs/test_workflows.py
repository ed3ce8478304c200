"""Workflows stay thin and pinned: one make target or one action per step, each action by commit."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.helm import ROOT

pytestmark = pytest.mark.prose

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
APT = "sudo apt-get update && sudo apt-get install --yes --no-install-recommends apache2-utils docker-registry"
OTHER = (".ci/run", APT)
# Jobs that may write, and what: packages, pages, results of scanners.
RIGHTS = {
    ("release.yml", "publish"): {"contents", "packages", "id-token", "attestations"},
    ("pages.yml", "publish"): {"pages", "id-token"},
    ("security.yml", "codeql"): {"security-events"},
    ("security.yml", "scorecard"): {"security-events", "id-token"},
}


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_step_is_one_target_or_one_pinned_action(path: Path) -> None:
    assert steps(path)
    for step in steps(path):
        if "uses" in step:
            line = re.search(rf"uses: {re.escape(step['uses'])}(.*)", path.read_text())
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", step["uses"])
            assert line is not None
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", line.group(1)), "the version stands beside the commit"
        elif step["run"] not in OTHER:
            target = re.fullmatch(r'make ([a-z-]+)( [A-Z_]+="\$[A-Z_]+")*', step["run"])
            assert target is not None, step["run"]
            assert re.search(rf"^{target.group(1)}:", MAKEFILE, re.MULTILINE), step["run"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rights_are_the_least(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 60
        written = {right for right, kind in job.get("permissions", {}).items() if kind != "read"}
        assert written == RIGHTS.get((path.name, name), set())
        if written & {"packages", "pages"}:
            assert job["environment"]["name"], "a protected environment"
    for step in steps(path):
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_what_is_installed_for_development_runs_without_rights() -> None:
    """The job that publishes runs no target that installs more than it pushes with."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    targets = {name: [step["run"].split()[1] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert "permissions" not in jobs["build"]
    assert targets["publish"][0] == "setup-publish"
    assert not {"check", "setup", "audit", "wheel", "package", "publish"} & set(targets["publish"])
    assert {"check", "audit", "package", "wheel", "checksums"} <= set(targets["build"])
    locked = (ROOT / "requirements" / "publish.txt").read_text()
    assert not re.search(r"^(pytest|hypothesis|mypy|ruff|ipykernel)==", locked, re.MULTILINE)
    assert "--hash=sha256:" in locked


def test_updates_are_proposed_for_all_that_is_pinned() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"pip", "github-actions"}
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)


def test_one_commit_per_action() -> None:
    used = {step["uses"] for path in FILES for step in steps(path) if "uses" in step}
    assert len({name.split("@")[0] for name in used}) == len(used)


def actionlint(text: str) -> str:
    """What it finds in a workflow; without shellcheck, which is not everywhere."""
    program = Path(sys.executable).parent / "actionlint"
    command = [str(program), "-shellcheck=", "-pyflakes=", "-no-color", "-oneline", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actionlint_finds_nothing(path: Path) -> None:
    assert actionlint(path.read_text()) == ""


@pytest.mark.parametrize(
    ("good", "bad", "found"),
    [
        ("runs-on: ubuntu-24.04", "runs-on: ubuntu-99.04", 'label "ubuntu-99.04" is unknown'),
        ("timeout-minutes: 30", "timeout-minuts: 30", 'unexpected key "timeout-minuts"'),
        ("${{ matrix.helm }}", "${{ matrix.hlem }}", 'property "hlem" is not defined'),
    ],
)
def test_actionlint_finds_what_is_wrong(good: str, bad: str, found: str) -> None:
    text = (ROOT / ".github" / "workflows" / "check.yml").read_text()
    assert good in text
    assert found in actionlint(text.replace(good, bad))


def test_the_matrix_has_every_supported_python_and_both_helms() -> None:
    matrix = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())["jobs"]["versions"]["strategy"][
        "matrix"
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={matrix['python'][0]}"
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert [name.split(".")[0] for name in matrix["helm"]] == ["v3", "v4"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_have_what_github_needs(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    if path.name == "config.yml":
        assert form == {"blank_issues_enabled": False}
        return
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)


def test_hooks_are_make_targets() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    for hook in hooks:
        assert re.search(rf"^{hook['entry'].removeprefix('make ')}:", MAKEFILE, re.MULTILINE)
