"""The way into a cluster: `kubectl port-forward` to the Service of a release, for the time of one command."""

import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any

from llm_serving_planner.base.errors import InputError, ServerError
from llm_serving_planner.base.printable import one_line
from llm_serving_planner.cluster.kubectl import Client, CommandError

_READY_SECONDS = 20.0
_STOP_SECONDS = 5.0
_MOST_LINE, _MOST_LINES = 10_000, 1_000  # kept of what kubectl says while it forwards
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ->")


@contextmanager
def port_forward(release: str, namespace: str | None, port_name: str) -> Iterator[str]:
    """`127.0.0.1:PORT`, which leads to the Service of the release until the block ends, however it ends.

    kubectl picks the free port itself and names it, so that nobody else can take it in between.

    Raises:
        InputError: no kubectl, no such Service.
        ServerError: the cluster refuses, or no pod is ready behind the Service.
    """
    client = Client.find(
        programs=("kubectl",),
        absent="--release needs kubectl, which is not on the PATH",
        missing="install it, or use --base-url",
    )
    service, port = _service(client, namespace, release, port_name)
    place = ("-n", namespace) if namespace else ()
    words = [client.program, "port-forward", *place, "--address", "127.0.0.1", f"service/{service}", f":{port}"]
    with _ended_by_signals():
        process = subprocess.Popen(  # noqa: S603 - a list of words, no shell
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,  # Ctrl-C reaches this command alone, which then ends kubectl in order
        )  # fmt: skip
        try:
            yield f"127.0.0.1:{_local_port(process, service)}"
        finally:
            _end(process)


def _service(client: Client, namespace: str | None, release: str, port_name: str) -> tuple[str, int]:
    """Name and port of the release's Service; a Service without the named port is none."""
    try:
        items = client.items("services", namespace, selector=f"app.kubernetes.io/instance={release}")
    except CommandError as error:
        raise ServerError(
            f"{client.name}: {error.said.removeprefix('error: ')}",
            hint=f"`{client.name} config current-context` names the cluster",
        ) from error
    found: list[tuple[bool, str, int]] = []
    for item in items:
        spec = item["spec"]
        found.extend(
            (spec.get("clusterIP") == "None", item["metadata"]["name"], int(port["port"]))
            for port in spec.get("ports", ())
            if port.get("name") == port_name
        )
    if not found:
        where = namespace or "the current namespace"
        raise InputError(
            f"no Service with a port named {port_name} belongs to release {release} in {where}",
            hint="`helm list --all-namespaces` names the releases; --namespace chooses; TGIS needs --protocol tgis",
        )
    _, name, port = min(found)  # one with an address before a headless one
    return name, port


def _local_port(process: subprocess.Popen[str], service: str) -> int:
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    errors: list[str] = []
    for pipe, take in ((process.stdout, lines.put), (process.stderr, errors.append)):
        threading.Thread(target=_pump, args=(pipe, take, lines), daemon=True).start()
    deadline = time.monotonic() + _READY_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            break
        if line is None:
            if process.poll() is None:
                continue
            break
        if found := _FORWARDING.match(line):
            return int(found.group(1))
    said = _last_line("".join(errors)) if errors else f"silent for {_READY_SECONDS:g} s"
    raise ServerError(
        f"kubectl port-forward service/{service}: {said}", hint="`kubectl get pods` tells what the engine does"
    )


def _pump(pipe: IO[str] | None, take: Callable[[str], Any], lines: "queue.SimpleQueue[str | None]") -> None:
    """Read until the end, so that the other side never waits for a full pipe; the end wakes whoever waits."""
    if pipe is not None:
        with pipe:
            kept = 0
            while line := pipe.readline(_MOST_LINE):
                kept += 1
                if kept <= _MOST_LINES:
                    take(line)
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP leave through `finally`; by default they would end Python without it."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return one_line(lines[-1].removeprefix("error: "), 500) if lines else "no reason given"
