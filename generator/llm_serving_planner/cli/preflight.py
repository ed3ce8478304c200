"""`preflight`: what stands against a release on the cluster at hand, before it is installed."""

import argparse
import json
import re
import shutil
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.cli.console import Add, Exit, add_format, say, show, tell, waiting

if TYPE_CHECKING:
    from llm_serving_planner.cluster.findings import Finding


_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,51}[a-z0-9])?")


def register(add: Add) -> None:
    """Add the command."""
    command = add("preflight", _preflight, "check a cluster for what a release needs, before it is installed")
    command.add_argument("-f", "--values", type=Path, action="append", required=True, metavar="FILE",
                         help="a values file; several are laid over each other as Helm does")  # fmt: skip
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
                         help="one value, as Helm's --set; may be repeated")  # fmt: skip
    command.add_argument("--chart", metavar="CHART", help="OCI reference, package or folder of the chart (default: "
                         "LLM_SERVING_CHART, charts/llm-serving of this folder, or the published chart)")  # fmt: skip
    command.add_argument(
        "--release", metavar="NAME", help="name of the release (default: the plan's, or the first file's name)"
    )
    command.add_argument("-n", "--namespace", default="default", help="namespace of the release (default: default)")
    command.add_argument("--context", help="context of the kubeconfig (default: the current one)")
    add_format(command)


def _preflight(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.base.documents import load_values
    from llm_serving_planner.cluster.checks import Asked, preflight
    from llm_serving_planner.cluster.kubectl import Client

    documents = [load_values(path, tell) for path in arguments.values]
    names = [((document.get("plan") or {}).get("pinned") or {}).get("name") for document in documents]
    pinned = next((name for name in reversed(names) if name), arguments.values[0].stem)
    release = arguments.release or re.sub(r"[^a-z0-9.-]", "-", str(pinned).lower())
    if not _NAME.fullmatch(release):
        raise InputError(f"--release {release!r} is no name of a Helm release", hint="a-z, 0-9 and -, at most 53")
    asked = Asked(release, arguments.namespace, arguments.values, arguments.settings, arguments.chart,
                  _engine(documents, arguments.settings))  # fmt: skip
    with waiting("asking the cluster"):
        found = preflight(Client.find(arguments.context), asked)
    failed = [finding for finding in found if finding.status == "fail"]
    if arguments.format == "json":
        print(json.dumps({"ok": not failed, "checks": [asdict(finding) for finding in found]}, indent=2))
    else:
        show(_table(found) + "\n")
        say(f"{len(failed)} of {len(found)} checks would fail" if failed else "nothing stands against it")
    return Exit.REFUSED if failed else Exit.OK


def _engine(documents: list[dict[str, Any]], settings: list[str]) -> str:
    """Which engine's driver counts: the last word of files and settings, or the chart's own."""
    from llm_serving_planner.output.chart import pick

    told = [str(kind) for document in documents if (kind := (document.get("engine") or {}).get("type"))]
    told += [found[1] for setting in settings for found in re.finditer(r"(?:^|,)engine\.type=([a-z]+)", setting)]
    return told[-1] if told else str(pick({}, "engine.type"))


def _table(found: "list[Finding]") -> str:
    """One row per check; the way out below what would fail."""
    width = max(60, shutil.get_terminal_size((120, 20)).columns)
    first = max(len(finding.check) for finding in found)
    lines = []
    for finding in found:
        lead = f"{finding.status:<8}{finding.check:<{first}}  "
        lines += textwrap.wrap(finding.found, width, initial_indent=lead, subsequent_indent=" " * len(lead))
        if finding.way_out:
            lines.append(f"{' ' * len(lead)}-> {finding.way_out}")
    return "\n".join(lines)
