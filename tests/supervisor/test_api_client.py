"""`helm test` of the engines with OpenAI's API: what is asked for, and whose certificate is believed."""

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.programs import BARE, FILES, run_program

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


@pytest.fixture
def raw() -> Iterator[Callable[..., int]]:
    """A server that answers each path with raw bytes, or hangs on None; gives its port."""
    servers: list[socket.socket] = []
    closing = threading.Event()

    def serve(answers: dict[str, bytes | None], seen: list[bytes] | None = None) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        servers.append(listening)

        def handle(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                request = connection.recv(65536)
                if seen is not None:
                    seen.append(request)
                answer = answers.get(request.split(b" ")[1].decode(), b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
                if answer is None:
                    closing.wait()
                else:
                    connection.sendall(answer)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=handle, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        port: int = listening.getsockname()[1]
        return port

    yield serve
    closing.set()
    for one in servers:
        one.shutdown(socket.SHUT_RDWR)
        one.close()


def http_answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


HEALTHY, MODELS = http_answer(b""), http_answer(b'{"data": [{"id": "m"}]}')


def run_test(port: int, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {"BASE_URL": f"http://127.0.0.1:{port}", "MODEL": "m", "API_KEY": "s3cret", "DEADLINE_SECONDS": "5"}
    return run_program("test_api.py", env=env | settings, python=BARE)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("where", ["/health", "/v1/models"])
def test_a_key_is_never_carried_to_another_server(raw: Callable[..., int], status: str, where: str) -> None:
    seen: list[bytes] = []
    other = raw(dict.fromkeys(("/health", "/v1/models"), HEALTHY), seen)
    redirect = http_answer(b"", f"Location: http://127.0.0.1:{other}{where}", status=status)
    done = run_test(raw({"/health": HEALTHY, where: redirect}), DEADLINE_SECONDS="1")
    assert done.returncode == 1
    assert f"HTTP {status[:3]}" in done.stdout
    assert seen == []


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_no_proxy_stands_between(raw: Callable[..., int], variable: str) -> None:
    seen: list[bytes] = []
    proxy = raw({}, seen)
    done = run_test(
        raw({"/health": HEALTHY, "/v1/models": MODELS}), TASK="embed", **{variable: f"http://127.0.0.1:{proxy}"}
    )
    assert "models: ['m']" in done.stdout
    assert seen == []


@pytest.mark.parametrize(
    "answer", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"HTTP/1.1 "], ids=["silent", "cut", "line"]
)
def test_the_deadline_is_kept(raw: Callable[..., int], answer: bytes | None) -> None:
    started = time.monotonic()
    done = run_test(raw({"/health": answer}), DEADLINE_SECONDS="2")
    assert time.monotonic() - started < 2 + 8  # the rest is the start of a Python on a busy machine
    assert done.returncode == 1
    assert "/health is not ready before the deadline" in done.stdout


GARBAGE = {
    "status line": b"\x00\xff nothing\r\n\r\n",
    "cut body": b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"data"',
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a number": http_answer(b'{"data": 5}'),
    "a list": http_answer(b"[]"),
    "null": http_answer(b"null"),
    "strings": http_answer(b'{"data": ["x"]}'),
    "deep": http_answer(b"[" * 100000),
    "digits": http_answer(b'{"data": [{"id": ' + b"9" * 100000 + b"}]}"),
    "escapes": http_answer(b'{"data": [{"id": "\\u001b[31m\\nOK"}]}'),
    "no UTF-8": http_answer(b"\xff\xfe"),
}  # fmt: skip


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_one_line(raw: Callable[..., int], name: str) -> None:
    done = run_test(raw({"/health": HEALTHY, "/v1/models": GARBAGE[name]}))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("FAILED: ")
    assert done.stdout.count("\n") == 1
    assert "\x1b" not in done.stdout
    assert len(done.stdout) < 400


@pytest.mark.parametrize("body", [b'{"choices": 5}', b'{"choices": []}', b'{"choices": [{"text": 5}]}', b'"x"', b"{}"])
def test_a_completion_in_no_form_is_one_line(raw: Callable[..., int], body: bytes) -> None:
    done = run_test(raw({"/health": HEALTHY, "/v1/models": MODELS, "/v1/completions": http_answer(body)}))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1].startswith("FAILED: ")
    assert done.stdout.count("\n") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_test_at_once(raw: Callable[..., int], number: int) -> None:
    seen: list[bytes] = []
    env = {"BASE_URL": f"http://127.0.0.1:{raw({'/health': None}, seen)}", "MODEL": "m", "DEADLINE_SECONDS": "60"}
    process = subprocess.Popen([sys.executable, "-B", *BARE, str(FILES / "test_api.py")], env=env)
    while not seen:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(5) == 128 + number
