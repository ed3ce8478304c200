"""The release as Helm renders it for the cluster at hand: the chart's own rules, its names and its objects."""

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_serving_planner.base.documents import parse_documents
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.output.home import find_chart

# Seconds for a rendering, with the pull of a chart from a registry.
RENDER_SECONDS = 60
# Lines of the chart's own refusal, and what Helm 3 and 4 put before the schema's.
_NUMBERED = re.compile(r"^\s*\d+\. (.+)$")
_SCHEMA = re.compile(r"^\s*- (at '.+)$")


class RefusedError(InputError):
    """Helm does not render the values.

    Attributes:
        problems: what the chart or its schema says, one text each.
    """

    def __init__(self, message: str, problems: list[str]) -> None:
        super().__init__(message)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Rendering:
    """What `helm template` is asked for.

    `files` and `settings` are the words of --values and --set; `kube` is the cluster's version, empty for Helm's own.
    """

    release: str
    namespace: str
    files: list[Path]
    settings: list[str]
    chart: str | None
    kube: str
    apis: set[str]


def render(wanted: Rendering) -> list[dict[str, Any]]:
    """Every object of the release, hooks and tests among them.

    Raises:
        RefusedError: the chart refuses the values on this cluster.
        InputError: no helm, no chart, or no answer in time.
    """
    program = shutil.which("helm")
    if program is None:
        raise InputError("helm is not on PATH, and the release is rendered with it", hint="install Helm 3.18 or newer")
    chart = shlex.split(find_chart(wanted.chart))
    words = [program, "template", wanted.release, *chart, "--namespace", wanted.namespace]
    words += [word for path in wanted.files for word in ("--values", str(path))]
    words += [word for setting in wanted.settings for word in ("--set", setting)]
    words += ["--kube-version", wanted.kube] if wanted.kube else []
    words += [word for api in sorted(wanted.apis) for word in ("--api-versions", api)]
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell
            words, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=RENDER_SECONDS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InputError(f"helm template gave no answer within {RENDER_SECONDS} seconds") from None
    if done.returncode:
        raise _refused(done.stderr, chart[0])
    return [one for one in parse_documents(done.stdout, "helm template") if isinstance(one, dict)]


def _refused(said: str, chart: str) -> InputError:
    lines = said.splitlines()
    problems = [found[1] for line in lines if (found := _NUMBERED.match(line) or _SCHEMA.match(line))]
    if problems:
        return RefusedError("the chart refuses the values", problems)
    last = next((line.strip() for line in reversed(lines) if line.strip()), "without a message")
    return InputError(
        f"helm template {chart} failed: {last.removeprefix('Error: ')}", hint="--chart names another chart"
    )
