"""Debian's docker-registry on loopback: with or without TLS and passwords, on a full disk, behind a cutting proxy."""

import datetime as dt
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import yaml

USER, PASSWORD = "publisher", "correct horse"
PROGRAMS = {"docker-registry": "docker-registry", "htpasswd": "apache2-utils", "openssl": "openssl"}


def require_programs() -> None:
    """Fail, never skip: these tests were asked for."""
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    assert not missing, f"missing on PATH; as root: apt-get install -y --no-install-recommends {' '.join(missing)}"


@dataclass
class Server:
    """A running registry."""

    address: str
    store: Path
    log: Path
    ca: Path | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"oci://{self.address}/charts"

    def versions(self) -> list[str]:
        """Tags that the store holds: what a stranger can see."""
        return sorted(path.parent.parent.name for path in self.store.rglob("_manifests/tags/*/current/link"))


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    cert, key = folder / "ca.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


@contextmanager
def running(folder: Path, *, tls: bool = False, password: bool = False, disk: str | None = None) -> Iterator[Server]:
    """A registry for the length of the context.

    `disk` ("96k") puts its store on a tmpfs of that size, in a mount namespace that ends with the registry.
    """
    require_programs()
    folder.mkdir(parents=True, exist_ok=True)
    port, store, log = free_port(), folder / "store", folder / "log"
    store.mkdir()
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(store)}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    server = Server(f"127.0.0.1:{port}", store, log)
    if tls:
        cert, key = certificate(folder)
        config["http"] = {"addr": f"127.0.0.1:{port}", "tls": {"certificate": str(cert), "key": str(key)}}
        server.ca = cert
    if password:
        users = folder / "htpasswd"
        line = subprocess.run(["htpasswd", "-nbB", USER, PASSWORD], check=True, capture_output=True, text=True).stdout
        users.write_text(line)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(users)}}
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    if disk:
        mount = f'mount -t tmpfs -o size={disk} tmpfs "{store}" && exec "$@"'
        command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh", *command]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _wait(port, process, log)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=20)
    while dt.datetime.now(tz=dt.UTC) < until:
        assert process.poll() is None, f"the registry stopped: {log.read_text()}"
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the registry did not start: {log.read_text()}")


class CuttingProxy:
    """A TCP relay that breaks every connection once `allow` bytes went up, or holds them still (`stall`)."""

    def __init__(self, target: str, *, allow: int, stall: bool = False) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._allow, self._stall = allow, stall
        self.reached = threading.Event()
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        while data := _received(client):
            self._allow -= len(data)
            if self._allow < 0:
                self.reached.set()
                if self._stall:
                    self._stop.wait(30)
                break
            server.sendall(data)
        for end in (client, server):
            end.close()

    @staticmethod
    def _down(server: socket.socket, client: socket.socket) -> None:
        try:
            while data := _received(server):
                client.sendall(data)
        except OSError:
            return


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(4096)
    except OSError:
        return b""
