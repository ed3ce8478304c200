# Made by `make generate` from generator/supervisor/stall.py; change that file.
"""The liveness probe of an engine: 0 while it lives, 1 when it must be started anew.

    stall.py

An engine whose GPU worker hangs answers /health all the same, and no completion ever. So besides /health this looks
at the engine's own figures, each time that the kubelet asks. An engine stands still when for STALL_SECONDS no figure of
it moved while it had requests, or, without requests, while not one of several tiny completions was answered. What it
cannot judge (no metrics, an API that refuses the completion) is alive.

HEALTH_URL, METRICS_URL; BUSY and MOVING: names of metrics, the first ones above 0 while there are requests, the second
ones changing with each step; COMPLETION: body of the tiny request, empty for none; GROUP_RANK: a member other than 0
has no API. What was seen last is kept in STATE_FILE, for this start of the container alone.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 4.0
# Seconds without requests until a tiny completion is sent, and the most that its answer may take.
IDLE_SECONDS = 60.0
COMPLETION_SECONDS = 4.0
# Seconds between two calls after which what was seen before says nothing: the machine slept, or the kubelet was away.
GAP_SECONDS = 60.0
MOST_BYTES = 8 * 1024 * 1024
_ENGINE = re.compile(r'engine="([^"]*)"')


def ask(url: str, body: str = "", seconds: float = ANSWER_SECONDS) -> tuple[int, bytes]:
    """Status and text of an answer; the certificate is not judged, as the kubelet does not judge it.

    Raises:
        OSError, http.client.HTTPException: none in time.
    """
    parts = urllib.parse.urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=seconds, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    headers = {"Content-Type": "application/json"} if body else {}
    if body and os.environ.get("VLLM_API_KEY"):
        headers["Authorization"] = f"Bearer {os.environ['VLLM_API_KEY']}"
    try:
        connection.request("POST" if body else "GET", parts.path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)
    finally:
        connection.close()


def figures(text: str, busy: set[str], moving: set[str]) -> dict[str, tuple[float, str]]:
    """By data parallel engine: the sum of what is busy, and everything that moves, as text."""
    found: dict[str, tuple[float, str]] = {}
    for line in text.splitlines():
        name = re.split(r"[{ ]", line, maxsplit=1)[0]
        if name not in busy and name not in moving:
            continue
        engine = (_ENGINE.search(line) or ["", ""])[1]
        requests, seen = found.get(engine, (0.0, ""))
        value = line.rpartition(" ")[2]
        if name in busy:
            try:
                requests += float(value)
            except ValueError:
                continue
        found[engine] = (requests, f"{seen}{name}={value};")
    return found


def start() -> str:
    """This start of the container: when its first process began."""
    try:
        return Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def load(path: Path, now: float) -> dict[str, Any]:
    """What was seen before, by engine; nothing of another start, or of too long ago."""
    try:
        state = json.loads(path.read_text())
        fresh = state["start"] == start() and 0 <= now - state["at"] <= GAP_SECONDS
        return dict(state["engines"]) if fresh else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def keep(path: Path, engines: dict[str, Any], now: float) -> None:
    """For the next call; where it cannot be written, nothing is ever judged."""
    try:
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps({"start": start(), "at": now, "engines": engines}))
        beside.replace(path)
    except OSError as error:
        print(f"stall: {path}: {error}", file=sys.stderr)


def answers(url: str, body: str) -> bool:
    """Whether a tiny completion comes back; a refusal is an answer too."""
    try:
        ask(url, body, COMPLETION_SECONDS)
    except (OSError, http.client.HTTPException):
        return False
    return True


def judge(seconds: float, now: float) -> str:
    """Why the engine stands still; empty while it lives or cannot be judged."""
    metrics = os.environ["METRICS_URL"]
    busy, moving = set(os.environ["BUSY"].split()), set(os.environ["MOVING"].split())
    path = Path(os.environ.get("STATE_FILE", "/tmp/llm-serving-stall.json"))  # noqa: S108 - the container's own
    try:
        status, text = ask(metrics)
    except (OSError, http.client.HTTPException):
        return ""
    seen = figures(text.decode(errors="replace"), busy, moving) if status == 200 else {}
    before = load(path, now)
    engines: dict[str, Any] = {}
    still = []
    idle = bool(seen)
    for engine, (requests, figure) in seen.items():
        known = before.get(engine) or {}
        since = known["since"] if known.get("figure") == figure else now
        engines[engine] = {"figure": figure, "since": since}
        idle = idle and not requests and now - since >= IDLE_SECONDS
        if requests and now - since >= seconds:
            whose = f"engine {engine}: " if engine else ""
            still.append(f"{whose}{requests:g} requests and no step for {now - since:.0f} s")
    body = os.environ.get("COMPLETION", "")
    if idle and body:
        base = urllib.parse.urlsplit(metrics)
        if answers(f"{base.scheme}://{base.netloc}/v1/completions", body):
            engines = {engine: {**own, "since": now} for engine, own in engines.items()}
        elif all(now - own["since"] >= IDLE_SECONDS + seconds for own in engines.values()):
            still.append(f"no answer to a completion of one token for {seconds:g} s")
    keep(path, engines, now)
    return "; ".join(still)


def main() -> int:
    """The exit code of the probe."""
    try:
        status, _ = ask(os.environ["HEALTH_URL"])
    except (OSError, http.client.HTTPException) as error:
        print(f"/health: {error or type(error).__name__}")
        return 1
    if status != 200:
        print(f"/health: HTTP {status}")
        return 1
    if os.environ.get("GROUP_RANK", "0") != "0":
        return 0
    why = judge(float(os.environ["STALL_SECONDS"]), time.monotonic())
    if why:
        print(f"the engine stands still: {why}")
    return 1 if why else 0


if __name__ == "__main__":
    raise SystemExit(main())
