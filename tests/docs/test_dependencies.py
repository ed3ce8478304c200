"""docs/dependencies.md: each dependency is justified, none that is gone is spoken of."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from support.helm import ROOT

pytestmark = pytest.mark.prose

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGE = (ROOT / "docs" / "dependencies.md").read_text()


def names(lines: list[str]) -> set[str]:
    return {Requirement(line).name for line in lines}


def test_each_runtime_dependency_has_its_row_and_no_other() -> None:
    runtime = PAGE.partition("## ")[0]
    rows = re.findall(r"^\| (\w+) \| (.+) \| (.+) \|$", runtime, re.MULTILINE)
    told = {name for name, *_ in rows if name != "package"}
    assert told == names(PROJECT["project"]["dependencies"])


def test_each_extra_and_each_development_dependency_is_named() -> None:
    groups = PROJECT["dependency-groups"].values()
    wanted = names([line for group in groups for line in group if isinstance(line, str)])
    wanted |= names([line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra])
    assert {name for name in wanted if f"`{name}`" not in PAGE} == set()


def test_what_is_said_of_the_workflows_is_true() -> None:
    check = (ROOT / ".github" / "workflows" / "check.yml").read_text()
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert "make audit" in check
    assert "make audit" in release
    assert re.search(r'cron: "\d+ \d+ \* \* 1"', check), "Mondays"
    assert "--require-hashes" in (ROOT / "Makefile").read_text()
