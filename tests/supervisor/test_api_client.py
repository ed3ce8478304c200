"""`helm test` of the engines with OpenAI's API: what is asked for, and whose certificate is believed."""

import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.programs import BARE, run_program

VECTORS = {"data": [{"embedding": [0.1, 0.2]}, {"embedding": [0.3, 0.4]}]}
GOOD: dict[str, Any] = {
    "/v1/embeddings": VECTORS,
    "/v1/rerank": {"results": [{"relevance_score": 0.9}, {"relevance_score": 0.1}]},
    "/classify": {"data": [{"probs": [0.5, 0.5]}]},
    "/pooling": {"data": [{"data": [1]}]},
    "/v1/completions": {"choices": [{"text": "x"}]},
}
Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server with given models and answers; gives what the test prints."""
    servers: list[ThreadingHTTPServer] = []

    def run(answers: dict[str, Any], names: list[str], **settings: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({"data": [{"id": name} for name in names]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                known = self.path in answers and body["model"] in names
                self.answer(answers[self.path] if known else {"error": "x"}, 200 if known else 404)

            def answer(self, document: Any, status: int = 200) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = {"BASE_URL": f"http://127.0.0.1:{server.server_port}", "MODEL": "m"}
        done = run_program("test_api.py", env={**base, **settings}, python=BARE)
        assert done.stderr == ""
        return done.stdout

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("embed", "embeddings: 2 vectors of 2"),
        ("rerank", "rerank: 2 scores"),
        ("classify", "classify: 2 classes"),
        ("pooling", "pooling: 1 values"),
    ],
)
def test_the_test_asks_for_what_the_task_promises(serve: Serve, task: str, said: str) -> None:
    printed = serve(GOOD, ["m"], TASK=task)
    assert said in printed
    assert printed.endswith("OK\n")
    assert "FAILED" in serve({}, ["m"], TASK=task)


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("embed", {"/v1/embeddings": {"data": [{"embedding": [0.1]}, {"embedding": [0.3, 0.4]}]}}),
        ("embed", {"/v1/embeddings": {"data": [{"embedding": []}, {"embedding": []}]}}),
        ("rerank", {"/v1/rerank": {"results": [{"relevance_score": 0.9}]}}),
        ("rerank", {"/v1/rerank": {"results": [{"relevance_score": None}, {"relevance_score": 1}]}}),
        ("classify", {"/classify": {"data": [{"probs": []}]}}),
        ("pooling", {"/pooling": {"data": [{"data": []}]}}),
    ],
)
def test_a_poor_answer_fails_the_test(serve: Serve, task: str, answer: dict[str, Any]) -> None:
    printed = serve(answer, ["m"], TASK=task)
    assert "FAILED:" in printed
    assert "OK" not in printed


def test_every_name_must_be_on_offer(serve: Serve) -> None:
    printed = serve(GOOD, ["m", "alias"], NAMES='["alias", "sql"]', ADAPTERS="1", TASK="embed")
    assert "FAILED: sql is not served; the engine offers ['m', 'alias']" in printed
    chat = {**GOOD, "/v1/chat/completions": {}}
    printed = serve(chat, ["m", "alias", "sql"], NAMES='["alias", "sql"]', ADAPTERS="1")
    assert "completion of sql: 'x'" in printed
    assert "completion of alias" not in printed


@pytest.fixture
def api(certificates: dict[str, Path]) -> Iterator[int]:
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
    context.load_cert_chain(certificates["crt"], certificates["key"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def ask(host: str, port: int, authority: Path) -> subprocess.CompletedProcess[str]:
    env = {"BASE_URL": f"https://{host}:{port}", "MODEL": "m", "CA_FILE": str(authority), "DEADLINE_SECONDS": "3"}
    return run_program("test_api.py", env=env, python=BARE)


def test_the_openai_test_judges_the_certificate(api: int, certificates: dict[str, Path]) -> None:
    good = ask("localhost", api, certificates["ca"])
    assert "m is not served; the engine offers []" in good.stdout
    for ca, host in ((certificates["stranger"], "localhost"), (certificates["ca"], "127.0.0.1")):
        bad = ask(host, api, ca)
        assert bad.returncode == 1
        assert "CERTIFICATE_VERIFY_FAILED" in bad.stdout
