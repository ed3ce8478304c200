"""A local HTTP server that speaks the part of the Hugging Face hub's API that metadata needs.

Each model is a folder of bytes and a list of troubles. What was asked is recorded.
"""

import contextlib
import hashlib
import json
import struct
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

from support.local_server import LocalServer

_BODIES = ("dribble", "endless")
SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeModel:
    """Files and behaviour of one repository.

    `statuses` maps a path suffix to answers that come before the real one: a status, "cut" for a connection that
    ends in the middle of the body, "hang" for one that never answers, "dribble" or "drip" for one that sends a byte
    now and then, "endless" for a body without end, "later" for a 429 that asks to wait a day, or bytes for the body.
    Silence lasts until the server closes.
    """

    files: dict[str, bytes]
    gated: bool = False
    token: str | None = None
    statuses: dict[str, list[Any]] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)  # what is sent in place of a file
    sizes: dict[str, int] = field(default_factory=dict)  # what the list tells in place of a file's size
    others: dict[str, tuple[str, dict[str, bytes]]] = field(default_factory=dict)  # further branches: commit, files
    seconds: float = 0.0  # how long a large file takes

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Commit and files of a branch, tag or commit."""
        if revision in {SHA, "main", "v1"}:
            return SHA, self.files
        found = (state for name, state in self.others.items() if revision in {name, state[0]})
        return next(found, None)


def safetensors(tensors: dict[str, tuple[str, list[int]]]) -> bytes:
    """A file with real headers; the data are zeros, left out (only headers are ever read)."""
    width = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "I32": 4}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape) in tensors.items():
        size = width[dtype]
        for dimension in shape:
            size *= dimension
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + b"\0" * 64


def _sibling(file: str, data: bytes, size: int) -> dict[str, Any]:
    """What the hub tells of a file: large ones by SHA-256, small ones by git's hash."""
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    told: dict[str, Any] = {"rfilename": file, "size": size, "blobId": blob}
    if file.endswith((".safetensors", ".bin")):
        told["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 134}
    return told


def _entry(file: str, data: bytes, size: int) -> dict[str, Any]:
    """The same as the tree tells it."""
    told = _sibling(file, data, size)
    entry: dict[str, Any] = {"type": "file", "path": file, "size": size, "oid": told["blobId"]}
    if "lfs" in told:
        entry["lfs"] = {"oid": told["lfs"]["sha256"], "size": size, "pointerSize": 134}
    return entry


class FakeHub(LocalServer):
    """The server; `url` is what HF_ENDPOINT wants."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, url: str = "") -> None:
        self.models: dict[str, FakeModel] = {}
        self.requests: list[tuple[str, str]] = []
        self.ranges: list[str] = []
        super().__init__(_Handler, host, port)
        self.url = url or self.url


class _Handler(BaseHTTPRequestHandler):
    owner: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_HEAD(self) -> None:
        """Headers of a GET."""
        self._answer()

    def do_GET(self) -> None:
        """The API, files, and the place that files are redirected to."""
        self._answer()

    def _answer(self) -> None:
        path = self.path.split("?")[0]
        self.owner.requests.append((self.command, path))
        if self.headers.get("Range"):
            self.owner.ranges.append(self.headers["Range"])
        for name, model in self.owner.models.items():
            if path.startswith((f"/api/models/{name}", f"/{name}/resolve/", f"/cdn/{name}/")):
                self._model(path, name, model)
                return
        self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})

    def _model(self, path: str, name: str, model: FakeModel) -> None:
        for suffix, answers in model.statuses.items():
            if path.endswith(suffix) and answers and not (self.command == "HEAD" and answers[0] in _BODIES):
                answer = answers.pop(0)
                if answer == "hang":
                    self.owner.closing.wait()
                    self.close_connection = True
                elif answer == "drip":
                    self._stream(b" ", 2.0)
                elif answer in {"dribble", "endless"}:
                    self._stream(b" " if answer == "dribble" else b" " * 65536, 0.2 if answer == "dribble" else 0)
                elif answer == "later":
                    self._send(429, b'{"error": "try later"}', {"Retry-After": "86400"})
                elif isinstance(answer, bytes):
                    self._send(200, answer, {"Content-Type": "application/json"})
                elif answer == "cut":
                    self._cut()
                else:
                    self._send(int(answer), b'{"error": "try later"}', {"Retry-After": "0"})
                return
        if path.startswith("/api/models/"):
            self._info(path, name, model)
        elif path.startswith(f"/cdn/{name}/"):
            file = path.removeprefix(f"/cdn/{name}/")
            commit, _, rest = file.partition("/")
            other = model.at(commit) if rest else None
            data = other[1][rest] if other else model.lies.get(file, model.files.get(file, b""))
            self._file(data, seconds=model.seconds)
        else:
            self._resolve(path, name, model)

    def _info(self, path: str, name: str, model: FakeModel) -> None:
        revision = "main"
        for word in ("/revision/", "/tree/"):
            if word in path:
                revision = unquote(path.split(word, 1)[1])
        state = model.at(revision)
        if state is None:
            self._send(404, b'{"error": "Revision not found"}', {"X-Error-Code": "RevisionNotFound"})
            return
        commit, files = state
        if f"/api/models/{name}/tree/" in path:
            tree = [_entry(file, data, model.sizes.get(file, len(data))) for file, data in files.items()]
            self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
            return
        siblings = [_sibling(file, data, model.sizes.get(file, len(data))) for file, data in files.items()]
        info = {"id": name, "modelId": name, "sha": commit, "gated": "manual" if model.gated else False,
                "private": False, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0}  # fmt: skip
        self._send(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def _resolve(self, path: str, name: str, model: FakeModel) -> None:
        revision, file = (unquote(word) for word in path.split("/resolve/", 1)[1].split("/", 1))
        if model.token and self.headers.get("Authorization") != f"Bearer {model.token}":
            self._send(401, b'{"error": "gated"}', {"X-Error-Code": "GatedRepo"})
            return
        commit, files = model.at(revision) or (SHA, {})
        if file not in files:
            self._send(404, b'{"error": "Entry not found"}', {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        data = files[file]
        told = _sibling(file, data, len(data))
        headers = {"X-Repo-Commit": commit, "ETag": f'"{told["lfs"]["sha256"] if "lfs" in told else told["blobId"]}"'}
        if file.endswith(".safetensors"):
            headers |= {"X-Linked-Size": str(len(data)), "X-Linked-Etag": headers["ETag"]}
            folder = name if commit == SHA else f"{name}/{commit}"
            place = f"{self.owner.url.replace('127.0.0.1', 'localhost')}/cdn/{folder}/{file}"
            self._send(302, b"", {**headers, "Location": place})
        else:
            self._file(data, headers)

    def _file(self, data: bytes, headers: dict[str, str] | None = None, seconds: float = 0.0) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            self._send(200, data, headers or {}, seconds)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last or len(data) - 1) + 1]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        self._send(206, part, {**(headers or {}), "Content-Range": span})

    def _cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"id":')
        self.wfile.flush()
        self.close_connection = True

    def _stream(self, block: bytes, pause: float) -> None:
        """Blocks until the other side has enough."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            while not self.owner.closing.wait(pause):
                self.wfile.write(block)
                self.wfile.flush()

    def _send(self, status: int, body: bytes, headers: dict[str, str], seconds: float = 0.0) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        pieces = 10 if seconds else 1
        step = -(-len(body) // pieces) or 1
        with contextlib.suppress(ConnectionError):  # of a client that was killed
            for start in range(0, len(body), step):
                self.owner.closing.wait(seconds / pieces)
                self.wfile.write(body[start : start + step])
