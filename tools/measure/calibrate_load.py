"""What is done to an engine that has started: a load, a killed rank, a stop under load. Standard library only."""

import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROMPT_TOKENS, ANSWER_TOKENS = 512, 128
_LONG_ANSWER = 2000
_STREAMS_UNDER_LOAD = 8
_EXIT_LIMIT_SECONDS = 150
_WARM_UP_SEED = 1_000_000


class Stream(threading.Thread):
    """One streamed completion of a random prompt; its times and what it got."""

    def __init__(self, port: int, model: str, seed: int, prompt: int, answer: int) -> None:
        super().__init__(daemon=True)
        self._port, self._model, self._prompt, self._answer = port, model, prompt, answer
        self._random = random.Random(seed)
        self.first: float | None = None
        self.chunks = 0
        self.finished = False
        self.problem = ""

    def run(self) -> None:
        """Ask, count, remember how it ended."""
        body = {
            "model": self._model,
            "prompt": [self._random.randrange(10, 20_000) for _ in range(self._prompt)],
            "max_tokens": self._answer,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
        }
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        try:
            connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                self.problem = f"{answer.status}: {answer.read(300).decode(errors='replace')}"
                return
            for line in answer:
                if line.startswith(b"data: [DONE]"):
                    self.finished = True
                elif line.startswith(b"data: "):
                    self.first = self.first or time.monotonic() - began
                    self.chunks += 1
        except (OSError, http.client.HTTPException) as error:
            self.problem = type(error).__name__
        finally:
            connection.close()


def streams(port: int, model: str, count: int, answer: int, *, seed: int = 0) -> list[Stream]:
    """`count` running streams."""
    made = [Stream(port, model, seed + number, PROMPT_TOKENS, answer) for number in range(count)]
    for stream in made:
        stream.start()
    return made


def bench(port: int, model: str, count: int, *, seed: int = 0) -> dict[str, float]:
    """Tokens per second of all streams together, and the median time to the first token in seconds."""
    began = time.monotonic()
    made = streams(port, model, count, ANSWER_TOKENS, seed=seed + count * 1000)
    for stream in made:
        stream.join()
    seconds = time.monotonic() - began
    firsts = [stream.first for stream in made if stream.first is not None]
    problems = [stream.problem for stream in made if stream.problem]
    if problems or not firsts:
        raise ValueError(f"{len(problems)} of {count} streams failed: {(problems or ['no tokens'])[0]}")
    return {
        "tokens_per_second": round(count * ANSWER_TOKENS / seconds, 1),
        "first_token_seconds": round(statistics.median(firsts), 4),
        "seconds": round(seconds, 3),
    }


def measure(job: Mapping[str, Any], port: int, processes: list[subprocess.Popen[bytes]]) -> dict[str, Any]:
    """The job's benches, then its one action, which ends the engine."""
    model = str(job["served"])
    found: dict[str, Any] = {}
    if job.get("bench"):
        measured: dict[str, dict[str, float]] = {}
        for count in map(int, job["bench"]):
            # Kernels are compiled at the first batch of a size; other prompts, so that no prefix is found in the cache.
            bench(port, model, count, seed=_WARM_UP_SEED)
            measured[str(count)] = bench(port, model, count)
        found["bench"] = measured
    action = job.get("action")
    if action in {"kill-rank", "kill-rank-under-load"}:
        found["action"] = _kill(port, model, processes, loaded=action.endswith("load"))
    elif action == "stop-under-load":
        found["action"] = _stop(port, model, processes)
    elif action is not None:
        raise ValueError(f"job {job['name']}: action {action!r} is not known")
    return found


def descendants(parent: int) -> list[int]:
    """Processes below `parent`, the deepest last."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            below.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [parent]
    while waiting:
        children = below.get(waiting.pop(0), [])
        found += children
        waiting += children
    return found


def workers(parent: int) -> list[int]:
    """Worker processes of an engine, by the title that vLLM gives them (VLLM::Worker_TP1)."""
    found = []
    for pid in descendants(parent):
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "Worker" in title:
            found.append(pid)
    return found


def _kill(port: int, model: str, processes: list[subprocess.Popen[bytes]], *, loaded: bool) -> dict[str, Any]:
    """SIGKILL to the last rank: how long until the engine itself is gone."""
    found = workers(processes[0].pid)
    if not found:
        raise ValueError("no worker process was found to kill")
    running = streams(port, model, _STREAMS_UNDER_LOAD, _LONG_ANSWER) if loaded else []
    time.sleep(2)
    began = time.monotonic()
    os.kill(found[-1], signal.SIGKILL)
    return {"loaded": loaded, **_ended(processes, began), **_outcome(running)}


def _stop(port: int, model: str, processes: list[subprocess.Popen[bytes]]) -> dict[str, Any]:
    """SIGTERM with running streams: how long it takes, and what of them arrives."""
    running = streams(port, model, _STREAMS_UNDER_LOAD, _LONG_ANSWER)
    time.sleep(2)
    began = time.monotonic()
    processes[0].send_signal(signal.SIGTERM)
    return {**_ended(processes, began), **_outcome(running)}


def _ended(processes: list[subprocess.Popen[bytes]], began: float) -> dict[str, Any]:
    try:
        code: int | None = processes[0].wait(_EXIT_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        code = None
    return {"exit_code": code, "exit_seconds": round(time.monotonic() - began, 2)}


def _outcome(running: list[Stream]) -> dict[str, Any]:
    for stream in running:
        stream.join(10)
    if not running:
        return {}
    return {
        "streams": len(running),
        "finished": sum(stream.finished for stream in running),
        "chunks": sum(stream.chunks for stream in running),
        "asked": len(running) * _LONG_ANSWER,
    }
