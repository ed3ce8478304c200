"""What docs/verify.md promises a stranger: pull and verify, take the values file out of the package, install, upgrade.

The registry is Debian's docker-registry on loopback, with TLS and a password; no file of the clone but the stand-in's
overlay reaches Helm.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.conftest import open_claim
from published.command import publishing
from published.conftest import keys  # noqa: F401 - a fixture: throw-away PGP keys
from published.registry_server import PASSWORD, USER, Server, running
from publishing import archive
from pytest_helm_charts.clusters import Cluster
from support.helm import ROOT

OVERLAY = Path(__file__).parent / "standin-values.yaml"
VERSION = archive.chart_version(ROOT)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("registry"), tls=True, password=True) as server:
        yield server


def typed(where: Path, *words: str, code: int = 0, typed_in: str | None = None) -> str:
    """The helm program, away from the clone; what it printed."""
    env = {**os.environ, "HELM_REGISTRY_CONFIG": str(where / "registry.json")}
    done = subprocess.run(["helm", *words], cwd=where, env=env, check=False, capture_output=True, text=True,
                          input=typed_in, timeout=300)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_published_pulled_verified_installed_upgraded(
    registry: Server,
    keys: dict[str, Path],  # noqa: F811 - the fixture
    kube_cluster: Cluster,
    namespace: str,
    tmp_path: Path,
) -> None:
    assert registry.ca is not None
    trust = ("--ca-file", str(registry.ca))
    away = tmp_path / "away"
    away.mkdir()
    login = ("registry", "login", registry.address, "--username", USER, "--password-stdin", *trust)
    typed(away, *login, code=1, typed_in="battery staple")
    typed(away, *login, typed_in=PASSWORD)

    package = archive.make_package(ROOT, tmp_path / "dist")
    archive.sign_package(package, key="me@example.com", keyring=keys["me-secret"])
    env = {"SSL_CERT_FILE": str(registry.ca), "HELM_REGISTRY_CONFIG": str(away / "registry.json")}
    done = publishing("publish", "--dist", tmp_path / "dist", registry.url, env=env)
    assert done.returncode == 0, done.stderr
    digest = done.stdout.strip().partition("@")[2]

    chart = f"{registry.url}/llm-serving"
    pulled = typed(away, "pull", chart, "--version", VERSION, "--untar", "--verify", "--keyring",
                   str(keys["me-public"]), *trust)  # fmt: skip
    assert digest in pulled
    assert "Signed by: me <me@example.com>" in pulled

    open_claim(kube_cluster, namespace, "mistral")
    values = ("--namespace", namespace, "-f", "llm-serving/values/mistral-2xt4.yaml", "-f", str(OVERLAY), *trust)
    typed(away, "install", "mistral", chart, "--version", VERSION, *values, "--wait", "--timeout", "3m")
    tested = typed(away, "test", "mistral", "--namespace", namespace, "--timeout", "2m", "--logs")
    assert "mistral-7b-instruct-v0.2" in tested
    told = json.loads(typed(away, "list", "--namespace", namespace, "--output", "json"))
    assert [(release["name"], release["chart"]) for release in told] == [("mistral", f"llm-serving-{VERSION}")]

    by_digest = f"{chart}@{digest}"
    typed(away, "upgrade", "mistral", by_digest, *values, "--set", "replicas=1", "--wait", "--timeout", "3m")
    assert "mistral-7b-instruct-v0.2" in typed(away, "test", "mistral", "--namespace", namespace, "--logs")
    typed(away, "uninstall", "mistral", "--namespace", namespace, "--wait")


def test_a_wrong_password_and_a_registry_that_is_down_install_nothing(
    registry: Server, kube_cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    words = ("install", "mistral", f"{registry.url}/llm-serving", "--version", VERSION, "--namespace", namespace)
    assert registry.ca is not None
    typed(tmp_path, *words, "--ca-file", str(registry.ca), code=1)
    with running(tmp_path / "gone") as gone:
        address = gone.address
    typed(tmp_path, "install", "mistral", f"oci://{address}/charts/llm-serving", "--plain-http", "--namespace",
          namespace, code=1)  # fmt: skip
    assert json.loads(typed(tmp_path, "list", "--namespace", namespace, "--output", "json")) == []
