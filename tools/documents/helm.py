"""`helm template` and `helm show values` where there is no such program, by the Helm 4 of the helm-python-sdk wheel."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart, HelmError, _native


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """As Helm merges values files: mappings deeply, everything else is replaced."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def assigned(text: str) -> dict[str, Any]:
    """`a.b=c` of --set, without lists and escapes."""
    path, _, value = text.partition("=")
    found: Any = yaml.safe_load(value)
    for key in reversed(path.split(".")):
        found = {key: found}
    return dict(found)


def main() -> int:
    """Print what Helm renders; 1 with its message where it refuses."""
    parser = argparse.ArgumentParser(prog="helm")
    commands = parser.add_subparsers(dest="command", required=True)
    template = commands.add_parser("template")
    template.add_argument("name")
    template.add_argument("chart")
    template.add_argument("-f", "--values", action="append", default=[])
    template.add_argument("--set", action="append", default=[])
    template.add_argument("-n", "--namespace", default="default")
    template.add_argument("-a", "--api-versions", action="append", default=[])
    template.add_argument("--kube-version")
    show = commands.add_parser("show")
    show.add_argument("what", choices=["values"])
    show.add_argument("chart")
    arguments = parser.parse_args()
    if arguments.command == "show":
        sys.stdout.write((Path(arguments.chart) / "values.yaml").read_text(encoding="utf-8"))
        return 0
    values: dict[str, Any] = {}
    for name in arguments.values:
        values = merged(values, yaml.safe_load(Path(name).read_text(encoding="utf-8")) or {})
    for text in arguments.set:
        values = merged(values, assigned(text))
    options = {"name": arguments.name, "namespace": arguments.namespace, "api_versions": arguments.api_versions}
    if arguments.kube_version:
        options["kube_version"] = arguments.kube_version
    try:
        chart = Chart.load(arguments.chart)  # held: its handle dies with it
        raw = chart._raw()  # noqa: SLF001 - the public call takes no API versions
        rendered = json.loads(_native.call_string("helm_render", raw, json.dumps(values), json.dumps(options)))
    except HelmError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    for path, text in sorted(rendered.items()):
        if path.endswith(".yaml") and text.strip():
            print(f"---\n# Source: {path}\n{text.strip()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
