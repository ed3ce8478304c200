"""No command of pip, pipx or uv names llm-serving, which on PyPI is somebody else's package."""

import re
import subprocess

import pytest
from support.helm import ROOT

pytestmark = pytest.mark.prose

# Installers and what of their words takes a distribution's name; the name ends where no name of a package goes on.
_COMMAND = re.compile(
    r"\b(?:pipx? +(?:install|download|index|wheel|show|uninstall|upgrade|run|inject)|pip +[a-z]+ +versions"
    r"|uvx|uv +(?:tool +(?:install|run|upgrade)|pip +[a-z]+|add|run +--with))\b(?P<words>[^\n`|;&]*)"
)
_OLD = re.compile(r"(?<![\w./:@-])llm[-_]serving(?![\w./-])")
_EXTRA = re.compile(r"(?<![\w./:@-])llm[-_]serving\[")

# The record of the old name, and this file's examples.
_TELLING = {"docs/decisions/0063-the-name-on-pypi.md", "tests/docs/test_distribution_name.py"}


def refused(text: str) -> list[str]:
    """Commands that install the old name, and every mention of it with an extra."""
    joined = text.replace("\\\n", " ")
    commands = [found[0] for found in _COMMAND.finditer(joined) if _OLD.search(found["words"])]
    return commands + [joined[found.start() : found.end() + 12] for found in _EXTRA.finditer(joined)]


def test_no_tracked_file_installs_the_old_name() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True,
                            text=True, check=True)  # fmt: skip
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file() or name in _TELLING:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if wrong := refused(text):
            found[name] = wrong
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "pip install llm-serving", "pip install --upgrade llm-serving, then", "pip install 'llm-serving[plot]'",
        'pip install "llm_serving==0.1.0"', "pipx install llm-serving", "pipx run llm-serving plan",
        "uvx llm-serving plan",
        "uv tool install llm-serving", "uv pip install llm-serving", "pip install \\\n  llm-serving",
        "(needs llm-serving[tgis])",
        "python -m pip install jinja2 llm-serving",
    ],
)  # fmt: skip
def test_the_old_name_is_seen(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "pip install llm-serving-planner", "pip install 'llm-serving-planner[plot]'", "uvx llm-serving-planner plan x",
        "pip install . && llm-serving plan x", "helm install mistral charts/llm-serving", "llm-serving plan x",
        "venv/bin/pip install llm_serving_planner-0.1.0-py3-none-any.whl", "pip install ./llm-serving",
        "`pip install jinja2`, then `llm-serving plan`",
    ],
)  # fmt: skip
def test_what_is_not_the_old_name_passes(text: str) -> None:
    assert not refused(text)
