"""A real registry: what is published, what is refused, and that nothing is ever half there."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from llm_serving_planner.base.errors import InputError
from published.command import publishing
from published.registry_server import PASSWORD, USER, CuttingProxy, Server, free_port, running
from publishing import archive
from publishing.publish import publish
from publishing.registry import Registry, RegistryError
from support.helm import ROOT

pytestmark = pytest.mark.registry
VERSION = archive.chart_version(ROOT)
NAME = f"llm-serving-{VERSION}.tgz"


def silent(_: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(autouse=True)
def no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own credentials are used."""
    monkeypatch.setenv("HELM_REGISTRY_CONFIG", str(tmp_path / "no-registry.json"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("plain")) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("guarded"), tls=True, password=True) as server:
        yield server


def login(path: Path, server: Server, password: str) -> Path:
    """A registry config as `helm registry login` and `docker login` write it."""
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"auths": {server.address: {"auth": token}}}))
    return path


def test_push_read_back_and_again_quietly(plain: Server, dist: Path) -> None:
    first = publishing("publish", "--dist", dist, "--plain-http", plain.url)
    assert first.returncode == 0, first.stderr
    assert first.stderr.splitlines() == [
        f"pushing {NAME} ({(dist / NAME).stat().st_size / 1024:.0f} KiB) to {plain.url}",
        "reading it back",
        f"published {plain.url}/llm-serving:{VERSION}",
    ]
    reference, digest = first.stdout.strip().split("@")
    assert reference == f"{plain.url}/llm-serving"
    assert digest == Registry(plain.url, plain_http=True).digest("llm-serving", VERSION)
    again = publishing("publish", "--dist", dist, "--plain-http", plain.url)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert again.stderr == f"{plain.url}/llm-serving:{VERSION}: the same content is there already\n"


def test_a_published_version_never_changes(plain: Server, tmp_path: Path, dist: Path) -> None:
    registry = Registry(f"{plain.url}/immutable", plain_http=True)
    digest = publish(dist / NAME, registry, silent)
    sources = tmp_path / "tree"
    for part in ("charts", "values"):
        shutil.copytree(ROOT / part, sources / part)
    readme = sources / "charts" / "llm-serving" / "README.md"
    readme.write_text(readme.read_text() + "more\n")
    other = archive.make_package(sources, tmp_path / "other")
    with pytest.raises(InputError, match=r"is there with other content \(sha256:\w{64}, here sha256:\w{64}\)"):
        publish(other, registry, silent)
    assert registry.digest("llm-serving", VERSION) == digest
    assert registry.pull("llm-serving", VERSION) == (dist / NAME).read_bytes()


def test_the_same_files_give_the_same_manifest_in_two_registries(plain: Server, tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        package = archive.make_package(ROOT, tmp_path / name)
        digests.add(publish(package, Registry(f"{plain.url}/{name}", plain_http=True), silent))
    assert len(digests) == 1


def rendered_by_the_wheel(package: Path, values: Path, _: str) -> str:
    from helm_python import Chart

    return "".join(Chart.load(str(package)).render(yaml.safe_load(values.read_text()), name="mistral").values())


def rendered_by_the_program(_: Path, values: Path, reference: str) -> str:
    """The registry's copy, as `helm install` would take it."""
    command = ["helm", "template", "mistral", reference, "--version", VERSION, "--plain-http", "-f", str(values)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


RENDERERS = [rendered_by_the_wheel, *([rendered_by_the_program] if shutil.which("helm") else [])]


@pytest.mark.parametrize("rendered", RENDERERS)
def test_a_stranger_installs_without_a_clone(
    plain: Server, dist: Path, tmp_path: Path, rendered: Callable[[Path, Path, str], str]
) -> None:
    """docs/verify.md: pull and unpack for the values files, then install from the registry."""
    registry = Registry(f"{plain.url}/stranger", plain_http=True)
    publish(dist / NAME, registry, silent)
    package = tmp_path / NAME
    package.write_bytes(registry.pull("llm-serving", VERSION))
    with tarfile.open(package) as members:
        members.extraction_filter = getattr(tarfile, "data_filter", None)  # an argument only from 3.11.4 on
        members.extractall(tmp_path)
    values = tmp_path / "llm-serving" / "values" / "mistral-2xt4.yaml"
    assert "Mistral-7B-Instruct-v0.2" in rendered(package, values, f"{registry.url}/llm-serving")


def test_the_signature_is_published_with_the_chart(
    plain: Server, dist: Path, keys: dict[str, Path], tmp_path: Path
) -> None:
    provenance = archive.sign_package(dist / NAME, key="me@example.com", keyring=keys["me-secret"])
    registry = Registry(f"{plain.url}/signed", plain_http=True)
    publish(dist / NAME, registry, silent)
    blobs = [path.read_bytes() for path in plain.store.rglob("blobs/sha256/*/*/data")]
    assert provenance.read_bytes() in blobs
    assert any(b"vnd.cncf.helm.chart.provenance" in blob for blob in blobs)
    if not shutil.which("helm"):
        return  # the blobs are there; the program, where it is, is the second opinion
    command = ["helm", "pull", f"{registry.url}/llm-serving", "--version", VERSION, "--plain-http", "--verify"]
    for who, code in (("me", 0), ("stranger", 1)):
        (tmp_path / who).mkdir()
        keyring = ["--keyring", str(keys[f"{who}-public"])]
        done = subprocess.run([*command, *keyring], cwd=tmp_path / who, check=False, capture_output=True, text=True)
        assert done.returncode == code, done.stderr


@pytest.mark.parametrize("where", ["helm", "docker"])
def test_tls_and_password(guarded: Server, dist: Path, tmp_path: Path, where: str) -> None:
    url = f"{guarded.url}/{where}"
    env = {"SSL_CERT_FILE": str(guarded.ca), "HELM_REGISTRY_CONFIG": str(tmp_path / "absent.json")}
    if where == "helm":
        env["HELM_REGISTRY_CONFIG"] = str(login(tmp_path / "helm.json", guarded, PASSWORD))
    else:
        env["DOCKER_CONFIG"] = str(login(tmp_path / "docker" / "config.json", guarded, PASSWORD).parent)
    done = publishing("publish", "--dist", dist, url, env=env)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stderr + done.stdout


def refused(done: subprocess.CompletedProcess[str], error: str, hint: str) -> None:
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("pushing ", "reading "))]
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith(f"error: {error}"), lines[0]
    assert lines[1] == f"hint: {hint}"


def test_wrong_and_missing_password(guarded: Server, dist: Path, tmp_path: Path) -> None:
    trusted = {"SSL_CERT_FILE": str(guarded.ca)}
    wrong = str(login(tmp_path / "wrong.json", guarded, "battery staple"))
    for env in (trusted, {**trusted, "HELM_REGISTRY_CONFIG": wrong}):
        done = publishing("publish", "--dist", dist, f"{guarded.url}/none", env=env)
        refused(done, f"{guarded.address} refuses the credentials, or got none (",
                f"helm registry login {guarded.address}")  # fmt: skip
        assert "battery" not in done.stderr
    assert not list(guarded.store.rglob("repositories/charts/none"))


def test_untrusted_certificate(guarded: Server, dist: Path) -> None:
    refused(publishing("publish", "--dist", dist, guarded.url),
            f"{guarded.address} has a certificate that is not trusted here (",
            "add its authority to the system's store, or name the file: SSL_CERT_FILE=ca.pem")  # fmt: skip


def test_plain_http_is_never_a_fallback(plain: Server, guarded: Server, dist: Path) -> None:
    refused(publishing("publish", "--dist", dist, plain.url),
            f"{plain.address} speaks plain HTTP, HTTPS was asked for (",
            "use a registry with TLS, or PLAIN_HTTP=1 where you trust the network")  # fmt: skip
    refused(publishing("publish", "--dist", dist, "--plain-http", guarded.url),
            f"{guarded.address} speaks HTTPS, plain HTTP was asked for (", "leave PLAIN_HTTP away")  # fmt: skip


def test_registry_down(dist: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    refused(publishing("publish", "--dist", dist, "--plain-http", f"oci://{address}/charts"),
            f"{address} does not answer (", "is it up, and is the name right?")  # fmt: skip


@pytest.mark.parametrize("disk", ["8k", "24k", "44k"])
def test_disk_full_publishes_nothing(dist: Path, tmp_path: Path, disk: str) -> None:
    """The registry says what is wrong where it writes a blob, and only "unknown error" where it links one."""
    with running(tmp_path / "full", disk=disk) as server:
        registry = Registry(server.url, plain_http=True)
        with pytest.raises(RegistryError) as caught:
            publish(dist / NAME, registry, silent)
        told = str(caught.value).partition(" (")[0], caught.value.hint
        assert told in {
            (f"{server.address} has no space left", "free space or raise the quota, then run again"),
            (f"{server.address} failed", "look at its log and its free space, then run again"),
        }
        assert "no space left on device" in server.log.read_text()
        assert registry.digest("llm-serving", VERSION) is None


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_a_cut_connection_leaves_the_version_absent_and_the_next_run_completes(
    plain: Server, dist: Path, share: float
) -> None:
    path = f"charts/cut-{int(share * 100)}"
    with CuttingProxy(plain.address, allow=int(share * (dist / NAME).stat().st_size)) as proxy:
        with pytest.raises(RegistryError) as caught:
            publish(dist / NAME, Registry(f"oci://{proxy.address}/{path}", plain_http=True, timeout=20), silent)
        assert proxy.reached.is_set()
    assert proxy.address in str(caught.value)
    direct = Registry(f"oci://{plain.address}/{path}", plain_http=True)
    assert direct.digest("llm-serving", VERSION) is None
    publish(dist / NAME, direct, silent)
    assert direct.pull("llm-serving", VERSION) == (dist / NAME).read_bytes()


def start_stalled(proxy: CuttingProxy, dist: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "publishing", "publish", "--dist", str(dist), "--plain-http", *words,
               f"oci://{proxy.address}/charts/stalled"]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_during_the_upload_ends_at_once(plain: Server, dist: Path) -> None:
    with CuttingProxy(plain.address, allow=8000, stall=True) as proxy:
        process = start_stalled(proxy, dist)
        assert proxy.reached.wait(30)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, errors = process.communicate(timeout=10)
        assert time.monotonic() - started < 5
    assert process.returncode == 130
    assert errors.splitlines()[-1] == (
        "interrupted: nothing is half done (a version is in a registry whole or not at all); run again"
    )
    assert Registry(f"oci://{plain.address}/charts/stalled", plain_http=True).digest("llm-serving", VERSION) is None


def test_a_silent_registry_is_given_up(plain: Server, dist: Path) -> None:
    with CuttingProxy(plain.address, allow=8000, stall=True) as proxy:
        process = start_stalled(proxy, dist, "--timeout", "2")
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"error: {proxy.address} did not finish within 2 s" in errors
