"""`make ct-lint`, `make ct-install`: helm's chart-testing (ct) with Helm 4 over all ci values.

    chart_testing.py lint                      the values as they are
    chart_testing.py install [--jobs 4]        installed, tested and upgraded on the cluster of KUBECONFIG

`install` first writes repositories that hold the previous version of the chart and, on a branch, the present one, both
with ci values changed by tests/cluster/ct-overlay.yaml: ct finds the previous version in git alone. Each job is a ct of
its own with a part of the values. Exit codes are those of `llm-serving`.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from llm_serving_planner.base.errors import InputError, LlmServingError
from llm_serving_planner.cli.console import Exit, complain, say

from testbed.node_resources import kubectl, patch_status, real_nodes
from testbed.previous import CHART, ROOT, extract, previous_revision

OVERLAY = ROOT / "tests" / "cluster" / "ct-overlay.yaml"
BUILD = ROOT / "build" / "ct"
PIECES = 128  # of the made-up GPU: more than all jobs ask for at once
NEEDED = {"lint": ("ct", "helm", "yamale", "yamllint"), "install": ("ct", "helm", "kubectl", "git")}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of ct, or of what must be there before it."""
    parser = argparse.ArgumentParser(prog="chart_testing", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("lint")
    install_parser = commands.add_parser("install")
    install_parser.add_argument("--jobs", type=int, default=2, help="how many ct run at once")
    install_parser.add_argument("--image", default="", help="another name of the stand-in image")
    install_parser.add_argument("--only", default="", help="a part of the values files' names")
    arguments = parser.parse_args(argv)
    for stop in (signal.SIGINT, signal.SIGTERM):  # also where a shell started this in the background, deaf to Ctrl-C
        signal.signal(stop, signal.default_int_handler)
    try:
        for program in NEEDED[arguments.command]:
            if shutil.which(program) is None:
                raise InputError(f"{program} is not on PATH", hint="see docs/decisions/0035-chart-testing.md")
        if arguments.command == "lint":
            return subprocess.run(["ct", "lint", "--config", "ct.yaml", "--charts", CHART], check=False).returncode
        return install(arguments.jobs, arguments.image, arguments.only)
    except LlmServingError as error:
        complain(error)
        return Exit.REFUSED
    except KeyboardInterrupt:
        say("interrupted")
        return Exit.INTERRUPTED


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Deep merge as Helm does it; null takes a key away."""
    merged = dict(base)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def changed(name: str, values: dict[str, Any], overlay: dict[str, Any], gpu: str, image: str = "") -> dict[str, Any]:
    """One file of ci values, made installable. `name` is the file's, without -values.yaml."""
    small = merge(merge(values, overlay["all"]), overlay["files"].get(name, {}))
    small["extraObjects"] = [*small.get("extraObjects", []), *overlay["objects"]]
    named = image or "{registry}/{repository}:{tag}".format(**overlay["all"]["engine"]["image"])
    found = re.fullmatch(r"([^/]+)/(.+):([^:/]+)", named)
    if found is None:
        raise InputError(f"--image {named} is not registry/repository:tag")
    parts = dict(zip(("registry", "repository", "tag"), found.groups(), strict=True))
    for part in (small["engine"], small["test"]):
        part["image"] = {**part["image"], **parts}
    done: dict[str, Any] = _fill(small, {"GPU": gpu, "RDMA": f"{gpu}-rdma", "IMAGE": named})
    return done


def _fill(value: Any, words: dict[str, str]) -> Any:
    """Every text that is one of the words, by what it stands for."""
    if isinstance(value, dict):
        return {key: _fill(below, words) for key, below in value.items()}
    if isinstance(value, list):
        return [_fill(below, words) for below in value]
    return words.get(value, value) if isinstance(value, str) else value


def change_all(chart: Path, overlay: dict[str, Any], gpu: str, image: str, keep: set[str] | None = None) -> list[str]:
    """Change the ci values of a chart in place; drop all but those to keep. Names of what stays."""
    names = []
    for path in sorted((chart / "ci").glob("*-values.yaml")):
        name = path.name.removesuffix("-values.yaml")
        if keep is not None and name not in keep:
            path.unlink()
            continue
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(changed(name, values, overlay, gpu, image), sort_keys=False), encoding="utf-8")
        names.append(name)
    return names


def prepare(folder: Path, revision: str, gpu: str, image: str, keep: set[str]) -> None:
    """A repository: the previous version is origin/main, the present one is the branch's."""
    overlay = yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "ct.yaml", folder / "ct.yaml")
    _git(folder, "init", "--quiet", "--initial-branch", "present")
    _git(folder, "remote", "add", "origin", str(folder))
    change_all(extract(revision, folder), overlay, gpu, image, keep)
    _commit(folder, f"the previous version: {revision}")
    _git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    shutil.rmtree(folder / CHART)
    shutil.copytree(ROOT / CHART, folder / CHART)
    change_all(folder / CHART, overlay, gpu, image, keep)
    _commit(folder, "the present version")


def _git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=ct", "-c", "user.email=ct@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, stdout=subprocess.DEVNULL)


def _commit(folder: Path, subject: str) -> None:
    _git(folder, "add", "--all", "--force")
    _git(folder, "commit", "--quiet", "--allow-empty", "--message", subject)


def install(jobs: int, image: str, only: str) -> int:
    """Run ct for every part at once; what a ct printed is shown when it ends, and stays in build/ct."""
    if "KUBECONFIG" not in os.environ:
        raise InputError("KUBECONFIG names no cluster", hint="`make kind` makes one")
    names = [path.name.removesuffix("-values.yaml") for path in sorted((ROOT / CHART / "ci").glob("*-values.yaml"))]
    names = [name for name in names if only in name]
    found = real_nodes()
    if not names or not found:
        raise InputError(f"no values file of the name {only}" if found else "no node is ready for pods")
    revision, gpu = previous_revision(), f"ct-{time.time_ns() % 10**9}.llm-serving.test/gpu"
    shutil.rmtree(BUILD, ignore_errors=True)
    say(f"the previous version is {revision}; {len(names)} values files, {jobs} ct at once; logs in build/ct")
    for resource in (gpu, f"{gpu}-rdma"):
        patch_status(found[0], "add", resource, PIECES)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for job in range(min(jobs, len(names))):
            folder = BUILD / str(job)
            prepare(folder, revision, gpu, image, set(names[job::jobs]))
            running[str(job)] = _start(folder)
        return _finish(running)
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
        clean_up()
        for resource in (gpu, f"{gpu}-rdma"):
            patch_status(found[0], "remove", resource)


def clean_up() -> None:
    """Take away what a ct that was ended left: it cleans up after failures only."""
    text = "".join(path.read_text(errors="replace") for path in BUILD.glob("*.log"))
    names = sorted(set(re.findall(r'^Creating namespace "([^"]+)"', text, re.MULTILINE)))
    if names:
        kubectl("delete", "namespace", *names, "--ignore-not-found", "--wait=false")


def _start(folder: Path) -> subprocess.Popen[bytes]:
    """One ct, its output in the folder's log."""
    command = ["ct", "install", "--config", "ct.yaml", "--charts", CHART, "--upgrade", "--skip-missing-values"]
    with (BUILD / f"{folder.name}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)


def _finish(running: dict[str, subprocess.Popen[bytes]]) -> int:
    """Wait for all. A version that could not be installed is passed over by ct with a message: here it fails."""
    worst = 0
    for name, process in running.items():
        code = process.wait()
        text = (BUILD / f"{name}.log").read_text(errors="replace")
        passed_over = [line for line in text.splitlines() if line.startswith("Upgrade testing for release")]
        tested = len(re.findall(r"^Phase: +Succeeded", text, re.MULTILINE)) // 2  # the script's ConfigMap is a hook too
        say(f"ct {name}: exit {code}, {tested} runs of helm test, {len(passed_over)} upgrades passed over")
        for line in passed_over:
            say(f"  {line}")
        if code:
            say(text[-6000:])
        worst = max(worst, code, 1 if passed_over else 0)
    return worst


if __name__ == "__main__":
    sys.exit(main())
