"""`make kind`, `make kind-delete`: a kind cluster that has all that `make test-cluster` needs.

    kind_cluster.py create [--name llm-serving] [--node-image kindest/node:...] [--gpus 8] [--kubeconfig FILE]
    kind_cluster.py delete [--name llm-serving]
    kind_cluster.py gpus [--gpus 8]          any cluster of KUBECONFIG: write made-up GPUs into its nodes' status

`create` may be run again: what is there stays. Every program can be another one: --kind, --docker (podman has the same
words), --kubectl, --helm. stdout carries the kubeconfig's path; progress goes to stderr. Exit codes are those of
`llm-serving`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from llm_serving_planner.base.errors import InputError, LlmServingError
from llm_serving_planner.cli.console import Exit, complain, say

from testbed import node_resources
from testbed.previous import ROOT

CONFIG = ROOT / "tests" / "cluster" / "kind.yaml"
CONTEXT = ROOT / "tests" / "cluster" / "build_context.py"
IMAGE = "localhost/stand-in-engine:1"
NEXT = f"{IMAGE}-next"  # the same under another name: upgrades of the image
PYTHON = "3.12"  # of the base image, python:3.12-slim
# Installation pages of both projects, 2026-11-25; versions are those that the suite has been run with.
LWS = "https://github.com/kubernetes-sigs/lws/releases/download/v0.9.0/manifests.yaml"
KUBERAY = ("kuberay-operator", "--repo", "https://ray-project.github.io/kuberay-helm/", "--version", "1.6.0")
GPU, PRODUCT = "nvidia.com/gpu", "Tesla-T4"
WAIT = "--timeout=300s"


class Programs:
    """The programs under the names that they have here."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.names = {name: str(getattr(arguments, name)) for name in ("kind", "docker", "kubectl", "helm")}
        self.environment = dict(os.environ)

    def __call__(self, program: str, *words: str) -> str:
        """What a program prints.

        Raises:
            InputError: It is not there, or failed.
        """
        name = self.names[program]
        if shutil.which(name) is None:
            raise InputError(f"{name} is not on PATH", hint=f"install it, or name another one with --{program}")
        say(f"{name} {' '.join(words)}")
        done = subprocess.run([name, *words], capture_output=True, text=True, check=False, env=self.environment)
        if done.returncode:
            raise InputError(f"{name} {' '.join(words[:3])}: exit {done.returncode}: {done.stderr.strip()[-1000:]}")
        return done.stdout


def create(run: Programs, arguments: argparse.Namespace) -> None:
    """Cluster, images, operators, GPUs; what is there already is left as it is."""
    name, kubeconfig = str(arguments.name), Path(arguments.kubeconfig).absolute()
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    if name in run("kind", "get", "clusters").split():
        say(f"the cluster {name} is there already")
        run("kind", "export", "kubeconfig", "--name", name, "--kubeconfig", str(kubeconfig))
    else:
        words = ["create", "cluster", "--name", name, "--config", str(CONFIG), "--kubeconfig", str(kubeconfig)]
        words += ["--image", arguments.node_image] if arguments.node_image else []
        run("kind", *words, "--wait", "120s")
    run.environment["KUBECONFIG"] = str(kubeconfig)
    images(run, name)
    operators(run)
    gpus(run, arguments.gpus)
    print(kubeconfig)


def images(run: Programs, name: str) -> None:
    """Build the stand-in engines and load them into the nodes."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, str(CONTEXT), folder, PYTHON], check=False)
        if done.returncode:
            raise InputError(
                "the packages of the stand-in engines cannot be fetched", hint="is the package index reachable?"
            )
        run("docker", "build", "--tag", IMAGE, folder)
    run("docker", "tag", IMAGE, NEXT)
    run("kind", "load", "docker-image", IMAGE, NEXT, "--name", name)


def operators(run: Programs) -> None:
    """LeaderWorkerSet and KubeRay at the versions that the suite knows."""
    run("kubectl", "apply", "--server-side", "--filename", LWS)
    run("kubectl", "rollout", "status", "deployment/lws-controller-manager", "--namespace", "lws-system", WAIT)
    release = ("upgrade", "--install", "kuberay-operator", *KUBERAY, "--namespace", "ray-system", "--create-namespace")
    run("helm", *release, "--wait", "--timeout", "300s")


def gpus(run: Programs, count: int) -> None:
    """Made-up GPUs on every real node, labelled as GPU feature discovery does."""
    node_resources.KUBECTL, node_resources.ENVIRONMENT = run.names["kubectl"], run.environment
    found = node_resources.real_nodes()
    if not found:
        raise InputError("no node is ready for pods", hint="wait for it, or take its taints away")
    for node in found:
        node_resources.patch_status(node, "add", GPU, count)
        labels = (f"{GPU}.product={PRODUCT}", f"{GPU}.present=true", f"{GPU}.count={count}")
        run("kubectl", "label", "node", node, "--overwrite", *labels)


def delete(run: Programs, arguments: argparse.Namespace) -> None:
    """Remove the cluster and its kubeconfig; one that is not there is no failure."""
    run("kind", "delete", "cluster", "--name", str(arguments.name))
    Path(arguments.kubeconfig).unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kind_cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", choices=["create", "delete", "gpus"])
    parser.add_argument("--name", default="llm-serving")
    parser.add_argument("--node-image", default="", help="another Kubernetes than kind's own")
    parser.add_argument("--gpus", type=int, default=8, help="per node")
    parser.add_argument("--kubeconfig", default=str(ROOT / "build" / "kind.kubeconfig"))
    for program in ("kind", "docker", "kubectl", "helm"):
        parser.add_argument(f"--{program}", default=program, help="name of the program")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of one step."""
    arguments = _parser().parse_args(argv)
    run = Programs(arguments)
    try:
        if arguments.command == "create":
            create(run, arguments)
        elif arguments.command == "delete":
            delete(run, arguments)
        else:
            gpus(run, arguments.gpus)
    except LlmServingError as error:
        complain(error)
        return Exit.REFUSED
    except KeyboardInterrupt:
        say("interrupted: run it again, or `make kind-delete`")
        return Exit.INTERRUPTED
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
