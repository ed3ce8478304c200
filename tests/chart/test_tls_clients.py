"""`helm test` over TLS: the certificate is judged, by name and by authority."""

import base64
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.certificates import certificate
from support.fake_tgis import FakeTgis, described
from support.helm import CHART


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate for localhost, its key, its authority, and a stranger's authority."""
    folder = tmp_path_factory.mktemp("tls")
    for name, data in certificate(folder, "localhost").items():
        assert (folder / name).read_bytes() == base64.b64decode(data)
    other = tmp_path_factory.mktemp("other")
    certificate(other, "localhost")
    return {"crt": folder / "tls.crt", "key": folder / "tls.key", "ca": folder / "ca.crt", "stranger": other / "ca.crt"}


def run(script: str, ca: Path, **env: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], "CA_FILE": str(ca), "MODEL": "m", "DEADLINE_SECONDS": "3", **env}
    words = [sys.executable, "-I", "-S", str(CHART / "files" / script)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=settings)


@pytest.fixture
def tgis(files: dict[str, Path]) -> Iterator[FakeTgis]:
    server = FakeTgis(described(), tls=(files["key"].read_bytes(), files["crt"].read_bytes()))
    yield server
    server.close()


def test_tgis_passes_over_tls(tgis: FakeTgis, files: dict[str, Path]) -> None:
    done = run("test_tgis.py", files["ca"], TARGET=f"localhost:{tgis.port}", DEADLINE_SECONDS="20")
    assert done.returncode == 0, done.stdout + done.stderr


def test_tgis_under_another_name_or_authority_fails(tgis: FakeTgis, files: dict[str, Path]) -> None:
    for ca, host in ((files["stranger"], "localhost"), (files["ca"], "127.0.0.1")):
        done = run("test_tgis.py", ca, TARGET=f"{host}:{tgis.port}")
        assert done.returncode == 1
        assert "CERTIFICATE_VERIFY_FAILED" in done.stdout


@pytest.fixture
def api(files: dict[str, Path]) -> Iterator[int]:
    """A server that is healthy and offers no model: enough to see who is let in."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"data": []}')

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["crt"], files["key"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_the_openai_test_judges_the_certificate(api: int, files: dict[str, Path]) -> None:
    good = run("test_api.py", files["ca"], BASE_URL=f"https://localhost:{api}")
    assert "m is not served; the engine offers []" in good.stdout
    for ca, host in ((files["stranger"], "localhost"), (files["ca"], "127.0.0.1")):
        bad = run("test_api.py", ca, BASE_URL=f"https://{host}:{api}")
        assert bad.returncode == 1
        assert "CERTIFICATE_VERIFY_FAILED" in bad.stdout
