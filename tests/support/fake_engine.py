"""A local server that speaks the OpenAI protocol well or badly, as each test tells it.

A reply is a status and blocks of bytes; "cut" closes the connection hard in the middle of a chunked body, "hang"
keeps it open and silent. What was asked is recorded.
"""

import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.local_server import LocalServer

NAME = "tiny"


@dataclass
class Reply:
    """What one request gets. Without `chunked` the end of the body is the end of the connection."""

    blocks: list[bytes | str]
    status: int = 200
    kind: str = "application/json"
    chunked: bool = True
    headers: dict[str, str] = field(default_factory=dict)


def document(content: Any, status: int = 200) -> Reply:
    return Reply([json.dumps(content).encode()], status)


def chunk(content: str | None = None, **choice: Any) -> bytes:
    """An event with one piece of a chat."""
    delta = {} if content is None else {"content": content}
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}]})


def event(content: Any) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
END = chunk(finish_reason="stop")


def stream(*blocks: bytes | str, chunked: bool = True) -> Reply:
    return Reply(list(blocks), kind="text/event-stream; charset=utf-8", chunked=chunked)


class FakeEngine(LocalServer):
    """The server; `replies` holds, per path, what comes next (the last one stays)."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {
            "/v1/models": [document({"object": "list", "data": [{"id": NAME, "object": "model"}]})],
            "/v1/chat/completions": [stream(chunk("Hello"), chunk(" world"), END, DONE)],
        }
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.hanging = threading.Event()
        super().__init__(_Handler)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for path, _, body in self.requests if path != "/v1/models"]

    def chat(self, *replies: Reply) -> None:
        self.replies["/v1/chat/completions"] = list(replies)


class _Handler(BaseHTTPRequestHandler):
    owner: FakeEngine
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: dict[str, Any]) -> None:
        self.owner.requests.append((self.path, dict(self.headers), body))
        left = self.owner.replies.get(self.path, [document({"detail": "Not Found"}, 404)])
        reply = left.pop(0) if len(left) > 1 else left[0]
        self.close_connection = True
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Connection", "close")
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for block in reply.blocks:
            if block == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if block == "hang":
                self.owner.hanging.set()
                self.owner.closing.wait(30)
                return
            assert isinstance(block, bytes)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if reply.chunked else block)
            self.wfile.flush()
        if reply.chunked:
            self.wfile.write(b"0\r\n\r\n")
