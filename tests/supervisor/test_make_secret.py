"""The hook that makes a group's secret, against an API server on this machine."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from supervisor import make_secret


class Server:
    """An API server that takes Secrets: `status` is its answer, `seen` what came."""

    def __init__(self, certificates: dict[str, Path]) -> None:
        self.status, self.seen = 201, list[tuple[str, str, Any]]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.seen.append((self.path, self.headers["Authorization"], body))
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(b'{"message": "no\x1b[31m\\n"}')

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates["crt"], certificates["key"])
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def server(certificates: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(certificates)
    for name, text in (("namespace", "llm"), ("token", "t0ken"), ("ca.crt", certificates["ca"].read_text())):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(make_secret, "ACCOUNT", tmp_path)
    monkeypatch.setattr(make_secret, "end_on_signals", lambda: None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "localhost")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(made.http.server_address[1]))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_it_makes_another_secret_each_time_and_shows_none(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert [make_secret.main(["chat-group", "secret"]) for _ in range(2)] == [0, 0]
    (path, key, first), (_, _, second) = server.seen
    assert (path, key) == ("/api/v1/namespaces/llm/secrets", "Bearer t0ken")
    assert first["metadata"] == {"name": "chat-group"}
    values = [base64.b64decode(one["data"]["secret"]).decode() for one in (first, second)]
    assert values[0] != values[1]
    assert len(values[0]) == 64
    assert not any(value in capsys.readouterr().out for value in values)


@pytest.mark.parametrize(
    ("status", "code", "text"), [(409, 0, "is there already"), (403, 1, "says 403"), (500, 1, "500")]
)
def test_one_that_is_there_is_left_as_it_is(
    server: Server, capsys: pytest.CaptureFixture[str], status: int, code: int, text: str
) -> None:
    server.status = status
    assert make_secret.main(["chat-group", "secret"]) == code
    printed = capsys.readouterr().out
    assert text in printed
    assert printed.count("\n") == 1
    assert "\x1b" not in printed


def test_a_server_that_is_not_there_is_one_line(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.http.server_close()
    assert make_secret.main(["chat-group", "secret"]) == 1
    assert "the API server does not answer" in capsys.readouterr().out
