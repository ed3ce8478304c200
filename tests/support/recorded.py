"""A recorded cluster: a kubectl that answers from files, which a test may change.

tests/data/cluster was recorded from a Kubernetes 1.35 with one node and four (made-up) T4.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from support.command import run
from support.helm import CHART, ROOT, merge

RECORDED = ROOT / "tests" / "data" / "cluster"
KUBECTL = f"""#!{sys.executable} -IS
import fnmatch, json, pathlib, sys
words, here = sys.argv[1:], pathlib.Path(__file__).parent
while words[:1] == ["--context"]:
    words = words[2:]
with (here / "asked").open("a") as log:
    log.write(" ".join(words) + "\\n")
def listed(kind):
    path = here / f"{{kind}}.json"
    return json.loads(path.read_text())["items"] if path.exists() else []
def forbidden(kind):
    if (here / f"{{kind}}.forbidden").exists():
        sys.exit(f'Error from server (Forbidden): {{kind}} is forbidden: User "me" cannot list resource "{{kind}}"')
def plural(kind):
    return {{"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}}.get(kind, kind.lower() + "s")
if words == ["api-versions"]:
    sys.exit(print((here / "api-versions.txt").read_text()))
if words[0] == "version":
    sys.exit(print(json.dumps({{"serverVersion": {{"gitVersion": "v1.35.4"}}}})))
if "--dry-run=server" in words:
    one = json.loads(sys.stdin.read())
    meta = one["metadata"]
    named = f"{{one['kind']}}/{{meta.get('name') or meta['generateName']}}"
    rules = json.loads((here / "admission.json").read_text()) if (here / "admission.json").exists() else []
    for rule in rules:
        if fnmatch.fnmatch(named, rule["object"]) and rule.get("with", "") in json.dumps(one):
            if "says" in rule:
                sys.exit(rule["says"])
            for container in one["spec"].get("containers", []):
                resources = container.setdefault("resources", {{}})
                resources["limits"] = {{**rule["limits"], **resources.get("limits", {{}})}}
    sys.exit(print(json.dumps(one)))
if words[:3] == ["get", "-f", "-"]:
    text = json.loads(sys.stdin.read())
    wanted = text["items"] if text["kind"] == "List" else [text]
    found = [item for one in wanted for item in listed(plural(one["kind"]))
             if (item.get("kind"), item["metadata"]["name"]) == (one["kind"], one["metadata"]["name"])]
    sys.exit(print(json.dumps({{"kind": "List", "items": found}})) if found else None)
kind = words[1].split(".v")[0]
forbidden(kind)
if kind == "secret":
    keys = json.loads((here / "secrets.json").read_text()).get(words[2]) if (here / "secrets.json").exists() else None
    if keys is not None:
        print("\\n".join(keys) if "go-template" in words[-1] else f"secret/{{words[2]}}")
    sys.exit()
if len(words) > 2 and not words[2].startswith("-"):
    found = [item for item in listed(kind) if item["metadata"]["name"] == words[2]]
    sys.exit(print(json.dumps(found[0])) if found else None)
path = here / f"{{kind}}.json"
print(path.read_text() if path.exists() else json.dumps({{"items": []}}))
"""
# The wheel's Helm behind the words of the program.
HELM = f"""#!{sys.executable} -I
import json, sys
import yaml
from helm_python import Chart, HelmError, _native
words = sys.argv[1:]
def after(name):
    return [value for word, value in zip(words, words[1:]) if word == name]
def merged(base, more):
    for key, value in more.items():
        base[key] = merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return base
values = {{}}
for path in after("--values"):
    merged(values, yaml.safe_load(open(path)))
for setting in after("--set"):
    path, _, value = setting.partition("=")
    for part in reversed(path.split(".")):
        value = {{part: value}}
    merged(values, value)
options = {{"name": words[1], "namespace": after("--namespace")[0], "api_versions": after("--api-versions"),
           "kube_version": after("--kube-version")[0]}}
chart = Chart.load(words[2])  # held: its handle dies with it
try:
    rendered = json.loads(_native.call_string("helm_render", chart._raw(), json.dumps(values), json.dumps(options)))
except HelmError as error:
    sys.exit(f"Error: {{error}}")
print("\\n---\\n".join(text for path, text in sorted(rendered.items()) if path.endswith(".yaml")))
"""
SMALL: dict[str, Any] = {
    "model": {"id": "org/model"},
    "parallelism": {"tensor": 2, "gpusPerNode": 2},
    "gpu": {"nodeSelector": {"nvidia.com/gpu.product": "Tesla-T4"}},
    "engine": {"version": "0.33.0"},
    "cpu": {"request": "500m"},
    "memory": {"host": {"request": "4Gi", "limit": "8Gi"}},
}


class Recorded:
    """A copy of the recording that a test may change, and the commands against it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(RECORDED, folder, dirs_exist_ok=True)
        for name, text in (("kubectl", KUBECTL), ("helm", HELM)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def change(self, kind: str, edit: Callable[[list[Any]], Any]) -> "Recorded":
        path = self.folder / f"{kind}.json"
        data = json.loads(path.read_text()) if path.exists() else {"items": []}
        edit(data["items"])
        path.write_text(json.dumps(data))
        return self

    def forbid(self, kind: str) -> None:
        (self.folder / f"{kind}.forbidden").write_text("")

    def admission(self, *rules: dict[str, Any]) -> "Recorded":
        """What the API server says to a dry run of an `object` (Kind/name) `with` a text: `says` or `limits`."""
        (self.folder / "admission.json").write_text(json.dumps(rules))
        return self

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = run(*words, cwd=self.folder, PATH=str(self.folder), COLUMNS="200", LLM_SERVING_CHART=str(CHART))
        done.stderr = re.sub(r"^asking the cluster .*\n", "", done.stderr)  # said where kubectl takes its time
        return done

    def preflight(self, changes: dict[str, Any] | None = None, *words: str) -> tuple[int, dict[str, list[Any]]]:
        """Exit code, and the findings by check."""
        (self.folder / "values.yaml").write_text(yaml.safe_dump(merge(SMALL, changes or {})))
        done = self.run("preflight", "-f", "values.yaml", "--release", "m", "--format", "json", *words)
        assert done.returncode in {0, 1}, done.stderr
        found: dict[str, list[Any]] = {}
        for finding in json.loads(done.stdout)["checks"]:
            found.setdefault(finding["check"], []).append(finding)
        return done.returncode, found
