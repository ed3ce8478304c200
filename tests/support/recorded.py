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
from support.helm import ROOT, merge

RECORDED = ROOT / "tests" / "data" / "cluster"
KUBECTL = f"""#!{sys.executable} -IS
import json, pathlib, sys
words, here = sys.argv[1:], pathlib.Path(__file__).parent
while words[:1] == ["--context"]:
    words = words[2:]
with (here / "asked").open("a") as log:
    log.write(" ".join(words) + "\\n")
if words == ["api-versions"]:
    sys.exit(print((here / "api-versions.txt").read_text()))
if (here / f"{{words[1]}}.forbidden").exists():
    sys.exit(f'Error from server (Forbidden): {{words[1]}} is forbidden: User "me" cannot list')
if words[1] == "secret":
    keys = json.loads((here / "secrets.json").read_text()).get(words[2]) if (here / "secrets.json").exists() else None
    if keys is not None:
        print("\\n".join(keys) if "go-template" in words[-1] else f"secret/{{words[2]}}")
    sys.exit()
kinds = [kind.split(".v")[0] for kind in words[1].split(",")]
texts = [path.read_text() for kind in kinds if (path := here / f"{{kind}}.json").exists()]
if len(texts) == 1:
    sys.exit(print(texts[0]))
print(json.dumps({{"items": [item for text in texts for item in json.loads(text)["items"]]}}))
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
        (folder / "kubectl").write_text(KUBECTL)
        (folder / "kubectl").chmod(0o755)

    def change(self, kind: str, edit: Callable[[list[Any]], Any]) -> None:
        path = self.folder / f"{kind}.json"
        data = json.loads(path.read_text()) if path.exists() else {"items": []}
        edit(data["items"])
        path.write_text(json.dumps(data))

    def forbid(self, kind: str) -> None:
        (self.folder / f"{kind}.forbidden").write_text("")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = run(*words, cwd=self.folder, PATH=str(self.folder), COLUMNS="200")
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
