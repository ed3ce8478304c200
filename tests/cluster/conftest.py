"""Releases of the chart on a real Kubernetes: any one that KUBECONFIG names."""

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from cluster import failure, needs, own_node, report
from llm_serving_planner.base.errors import LlmServingError
from pykube import HTTPClient, Namespace, PersistentVolume, PersistentVolumeClaim, Pod
from pytest_helm_charts.clusters import Cluster
from support.helm import CHART, ROOT
from xdist.scheduler import LoadScopeScheduling

RUN = "LLM_SERVING_TEST_RUN"  # set by the process that starts a run, inherited by its workers
MARK = "llm-serving/test-run"  # label of everything that a run makes outside namespaces, and of its namespaces


def standin_values() -> dict[str, Any]:
    """What puts the stand-in engine in the place of the real one; LLM_SERVING_STANDIN_IMAGE names another tag of it."""
    values: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "standin-values.yaml").read_text())
    if named := os.environ.get("LLM_SERVING_STANDIN_IMAGE"):
        registry, repository, tag = re.fullmatch(r"([^/]+)/(.+):([^:/]+)", named).groups()  # type: ignore[union-attr]
        for part in (values["engine"], values["test"]):
            part["image"] |= {"registry": registry, "repository": repository, "tag": tag}
    return values


STANDIN = standin_values()
TAG = STANDIN["engine"]["image"]["tag"]
NEXT = {"engine": {"image": {"tag": f"{TAG}-next"}}}  # the same image under another name: an upgrade of the image


def pytest_sessionstart(session: pytest.Session) -> None:
    """Once for a run: look whether the cluster has what the tests need."""
    config = session.config
    if hasattr(config, "workerinput") or "KUBECONFIG" not in os.environ or config.option.collectonly:
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled workflow cleans up as Ctrl-C does
    report.start()
    os.environ[RUN] = run = f"run-{time.time_ns() % 10**9}"
    name = f"{STANDIN['engine']['image']['registry']}/{STANDIN['engine']['image']['repository']}"
    jobs = max(1, getattr(config.option, "numprocesses", None) or 1)
    namespace = f"llm-serving-{run}"
    made = needs.kubectl("create", "namespace", namespace)
    if made.returncode:
        pytest.exit(f"the cluster of KUBECONFIG cannot be used: {made.stderr.strip()[-300:]}", returncode=2)
    needs.kubectl("label", "namespace", namespace, f"{MARK}={run}")
    problems = needs.missing((f"{name}:{TAG}", f"{name}:{TAG}-next"), namespace, 2 * jobs)
    needs.kubectl("delete", "namespace", namespace, "--wait=false")
    if problems:
        lines = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(problems, 1))
        pytest.exit(f"the cluster lacks what these tests need:\n{lines}", returncode=2)


def pytest_report_header() -> str:
    """What finds everything that this run made, should it ever be killed."""
    return f"kubectl label of this run: {MARK}={os.environ[RUN]}" if RUN in os.environ else "no cluster"


@pytest.hookimpl(trylast=True)  # when xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Also after Ctrl-C: nothing that this run made stays, whatever its workers still could do."""
    if hasattr(session.config, "workerinput") or RUN not in os.environ:
        return
    problems: list[str] = []
    try:
        own_node.forget(os.environ[RUN])
    except LlmServingError as error:  # a cluster that is gone keeps all of it
        problems.append(str(error))
    mine = f"{MARK}={os.environ.pop(RUN)}"
    needs.kubectl("delete", "nodes", "-l", mine, "--ignore-not-found")
    gone = needs.kubectl("delete", "namespaces", "-l", mine, "--ignore-not-found", "--timeout=180s", seconds=200)
    left = needs.kubectl("get", "namespaces", "-l", mine, "-o", "name").stdout.split()
    problems += [*left, *([gone.stderr.strip()[-300:]] if gone.returncode else [])]
    if problems:
        session.config.stash[LEFT] = problems
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


LEFT: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The faults, and what stayed behind."""
    report.finish(terminalreporter)
    if left := terminalreporter.config.stash.get(LEFT, None):
        terminalreporter.section("left behind", red=True)
        for line in left:
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the cluster looked like, while it still does."""
    made = yield
    if made.failed and made.when != "teardown":
        failure.describe(made)
    return made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a cluster."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if "KUBECONFIG" not in os.environ:
                item.add_marker(pytest.mark.skip(reason="KUBECONFIG names no cluster"))


class Spread(LoadScopeScheduling):  # type: ignore[misc]
    """A test goes to whichever worker is free, those of one of the groups to the same.

    This is `--dist loadgroup`, which under pytest 9.2 groups nothing (seen with pytest-xdist 3.8.0, 2026-11-25): it
    marks a test by a part of its id that pytest no longer reads.
    """

    GROUPS: ClassVar = {
        "test_the_real_engine_on_cpus": "real engines",  # each keeps the cores of a small machine busy
        "test_scale.py": "simulated nodes",  # one cluster of 200 for all of its tests
    }

    def _split_scope(self, nodeid: str) -> str:
        return next((group for part, group in self.GROUPS.items() if part in nodeid), nodeid)


@pytest.hookimpl(optionalhook=True)  # unknown where xdist is switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Spread | None:
    """For `--dist loadscope`, whose modules would be too large."""
    return Spread(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The helm program; behind a wrapper where a self-built one calls itself v4.3, which pyhelm3 cannot parse."""
    told = subprocess.run(["helm", "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=True)
    if not re.fullmatch(r"v\d+\.\d+", told.stdout.strip()):
        return "helm"
    wrapper = tmp_path_factory.mktemp("helm") / "helm"
    wrapper.write_text(
        '#!/bin/sh\nif [ "$1" = version ]; then helm "$@" | sed -E "s/v[0-9]+[.][0-9]+/&.0/"; else exec helm "$@"; fi\n'
    )
    wrapper.chmod(0o755)
    return str(wrapper)


class Release:
    """One release in one namespace, through pyhelm3."""

    def __init__(self, helm: str, name: str, namespace: str) -> None:
        from pyhelm3 import Client

        self.name, self.namespace = name, namespace
        self.client = Client(kubeconfig=Path(os.environ["KUBECONFIG"]), executable=helm)

    def apply(self, *values: dict[str, Any], wait: bool = True) -> Any:
        """Install or upgrade, and wait until it serves."""

        async def go() -> Any:
            chart = await self.client.get_chart(str(CHART))
            return await self.client.install_or_upgrade_release(
                self.name, chart, *values, namespace=self.namespace, create_namespace=False, wait=wait, timeout="6m"
            )

        return asyncio.run(go())

    def rollback(self, revision: int, *, wait: bool = True) -> None:
        """Back to an earlier revision, as a new one."""

        async def go() -> None:
            current = await self.client.get_current_revision(self.name, namespace=self.namespace)
            # Helm 4 knows no --recreate-pods; pyhelm3 passes what it is told and nothing else
            await current.release.rollback(revision, wait=wait, timeout="6m")

        asyncio.run(go())

    def history(self) -> list[str]:
        """Statuses of all revisions, the first one first; empty where no release of this name is known."""
        from pyhelm3 import errors

        async def go() -> list[str]:
            try:
                current = await self.client.get_current_revision(self.name, namespace=self.namespace)
            except errors.ReleaseNotFoundError:
                return []
            told = sorted(await current.release.history(), key=lambda revision: int(revision.revision))
            return [str(revision.status.value) for revision in told]

        return asyncio.run(go())

    def revision(self) -> int:
        """Number of the current revision."""

        async def go() -> int:
            current = await self.client.get_current_revision(self.name, namespace=self.namespace)
            return int(current.revision)

        return asyncio.run(go())

    def test(self) -> str:
        """`helm test` with its logs."""
        command = ["helm", "test", self.name, "--namespace", self.namespace, "--timeout", "5m", "--logs"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def uninstall(self, *, wait: bool = True) -> None:
        """Remove it, and wait unless told otherwise."""
        asyncio.run(self.client.uninstall_release(self.name, namespace=self.namespace, wait=wait, timeout="2m"))


@contextmanager
def made_namespace(client: HTTPClient, level: str) -> Iterator[str]:
    """A namespace that enforces a Pod Security level, on its way out afterwards."""
    name = f"llm-serving-{time.time_ns() % 10**9}"
    labels = {"pod-security.kubernetes.io/enforce": level, MARK: os.environ.get(RUN, "alone")}
    Namespace(client, {"metadata": {"name": name, "labels": labels}}).create()
    failure.NAMESPACES.append(name)
    try:
        yield name
    finally:
        failure.NAMESPACES.remove(name)
        Namespace(client, {"metadata": {"name": name}}).delete()  # the end of the run waits until all are gone


@pytest.fixture
def namespace(kube_cluster: Cluster) -> Iterator[str]:
    """Where most releases go: Pod Security restricted."""
    with made_namespace(kube_cluster.kube_client, "restricted") as name:
        yield name


@pytest.fixture
def baseline_namespace(kube_cluster: Cluster) -> Iterator[str]:
    """Where an engine that needs root may run."""
    with made_namespace(kube_cluster.kube_client, "baseline") as name:
        yield name


def open_claim(cluster: Cluster, namespace: str, release: str) -> None:
    """A claim for the release, writable for every user id.

    Provisioners of hostPath volumes ignore fsGroup and make folders of root: there a pod of root opens the folder, as
    an administrator would. Elsewhere the claim is left to the chart.
    """
    client = cluster.kube_client
    name = f"{release}-llm-serving-models"
    owner = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": STANDIN["storage"]["size"]}}}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": owner}
    PersistentVolumeClaim(client, {"metadata": metadata, "spec": spec}).create()
    deadline = time.monotonic() + 10
    volume = None
    while volume is None and time.monotonic() < deadline:
        time.sleep(0.5)
        claim = PersistentVolumeClaim.objects(client).filter(namespace=namespace).get_by_name(name)
        volume = claim.obj["spec"].get("volumeName")
    if volume is None:  # bound when first used: such provisioners set their folders' mode themselves
        return
    path = PersistentVolume.objects(client).get_by_name(volume).obj["spec"].get("hostPath", {}).get("path")
    if path is not None:
        _chmod(client, path)


def _chmod(client: HTTPClient, path: str) -> None:
    image = STANDIN["test"]["image"]
    container = {
        "name": "open",
        "image": f"{image['registry']}/{image['repository']}:{image['tag']}",
        "imagePullPolicy": image["pullPolicy"],
        "command": ["chmod", "0777", "/volume"],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
    }
    volumes = [{"name": "volume", "hostPath": {"path": path}}]
    spec = {"restartPolicy": "Never", "containers": [container], "volumes": volumes}
    pod = Pod(client, {"metadata": {"name": f"open-{time.time_ns()}", "namespace": "default"}, "spec": spec})
    pod.create()
    deadline = time.monotonic() + 60
    while pod.obj["status"].get("phase") not in {"Succeeded", "Failed"} and time.monotonic() < deadline:
        time.sleep(0.5)
        pod.reload()
    phase = pod.obj["status"].get("phase")
    pod.delete()
    assert phase == "Succeeded", f"the volume's folder could not be opened: {phase}"


@pytest.fixture
def mistral() -> dict[str, Any]:
    """The committed values file of the README's example."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "values" / "mistral-2xt4.yaml").read_text())
    return values


@pytest.fixture
def standin() -> dict[str, Any]:
    """What puts the stand-in engine in the place of the real one."""
    return STANDIN
