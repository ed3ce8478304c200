"""The half of calibrate.py that runs where the GPUs are: starts engines, reads their logs, writes one result file.

Needs an installed vLLM and this repository's `generator` on PYTHONPATH; the standard library besides. Every start is
bounded in time, a start that fails is a result like any other, and each result is on disk before the next begins.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from llm_serving_planner.logs import failures
from llm_serving_planner.logs.reading import read_log

from measure import calibrate_load as load
from measure import speed_load

FIRST_PORT = 18000
_PORTS_PER_JOB = 10
_POLL_SECONDS = 0.25
_END_SECONDS = 10
# Variables of the machine that change what an engine takes; a row says how they stood.
SHAPING = (
    "VLLM_USE_FLASHINFER_SAMPLER",
    "VLLM_ALLREDUCE_USE_SYMM_MEM",
    "NCCL_NVLS_ENABLE",
    "TORCH_SYMM_MEM_DISABLE_MULTICAST",
)


class Gpus:
    """The GPUs of the machine; jobs wait, in the order they came, until as many are free as they need.

    The order matters: a job of all GPUs would else wait until every job of a single one is through.
    """

    def __init__(self, count: int) -> None:
        self._free = list(range(count))
        self.count = count
        self._changed = threading.Condition()
        self._waiting: list[object] = []

    @contextmanager
    def take(self, wanted: int) -> Iterator[list[int]]:
        """That many GPUs, for as long as the block lasts."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._waiting[0] is ticket and len(self._free) >= wanted)
            self._waiting.pop(0)
            taken = [self._free.pop(0) for _ in range(wanted)]
            self._changed.notify_all()
        try:
            yield taken
        finally:
            with self._changed:
                self._free = sorted([*self._free, *taken])
                self._changed.notify_all()


def query(field: str) -> list[str]:
    """One field of nvidia-smi, a GPU each; empty where there is no such program."""
    words = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def machine(engine: list[str]) -> dict[str, Any]:
    """Date, versions and hardware, for every row."""
    try:
        shown = subprocess.run([*engine, "--version"], capture_output=True, text=True, check=False, timeout=120)
        version = shown.stdout.strip().splitlines()[-1] if shown.stdout.strip() else "unknown"
    except (OSError, subprocess.TimeoutExpired):
        version = "unknown"
    names, totals, drivers = query("name"), query("memory.total"), query("driver_version")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "engine": f"vllm {version}",
        "gpu": names[0] if names else "unknown",
        "gpus": len(names),
        "memory_mib": int(totals[0]) if totals else 0,
        "driver": drivers[0] if drivers else "unknown",
    }


def complete_model(folder: Path) -> None:
    """The smallest tokenizer that can put any id into words, beside config.json: a start without downloads."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    size = int((config.get("text_config") or config)["vocab_size"])
    tokenizer: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {f"t{number}": number for number in range(size)}, "unk_token": "t0"},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, separators=(",", ":")), encoding="utf-8")
    described = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "t0", "eos_token": "t1"}
    (folder / "tokenizer_config.json").write_text(json.dumps(described), encoding="utf-8")


def words_of(job: Mapping[str, Any], folder: Path, port: int, total_gib: float) -> list[str]:
    """The command line: as rendered, but for the model's place, the port, and the share of a smaller card.

    `imitate_gib` is the memory of the card that a share was planned for: the same budget on this one.
    """
    words = list(job["args"])
    share = "--gpu-memory-utilization"
    if job.get("imitate_gib") and share in words:
        index = words.index(share) + 1
        words[index] = f"{float(words[index]) * job['imitate_gib'] / total_gib:.4f}"
    return [str(folder / job["config"]), *words, "--load-format", "dummy", "--port", str(port)]


def commands_of(job: Mapping[str, Any], words: list[str], gpus: list[int], port: int) -> list[tuple[list[str], str]]:
    """(arguments, visible GPUs) of each process; several where one host plays several nodes."""
    nodes = int(job.get("nodes", 1))
    if nodes == 1:
        return [(words, ",".join(map(str, gpus)))]
    each = len(gpus) // nodes
    found = []
    for rank in range(nodes):
        extra = ["--nnodes", str(nodes), "--node-rank", str(rank), "--master-addr", "127.0.0.1"]
        extra += ["--master-port", str(port + 1), *(["--headless"] if rank else [])]
        found.append(([*words, *extra], ",".join(map(str, gpus[rank * each : (rank + 1) * each]))))
    return found


def answers(port: int) -> bool:
    """True when the server says that it is healthy."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:  # loopback
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the processes and all that they started, by their own process groups."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                os.killpg(process.pid, how)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + _END_SECONDS
        for process in processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue


def run_job(job: Mapping[str, Any], index: int, gpus: list[int], setting: Mapping[str, Any]) -> dict[str, Any]:
    """One start, whatever becomes of it."""
    folder, logs = Path(setting["folder"]), Path(setting["logs"])
    port = FIRST_PORT + index * _PORTS_PER_JOB
    words = words_of(job, folder, port, setting["memory_mib"] / 1024)
    log_paths, processes = [], []
    began = time.monotonic()
    shaping = {key: os.environ[key] for key in SHAPING if key in os.environ} | job.get("env", {})
    result: dict[str, Any] = {"name": job["name"], "args": words[1:], "gpus_used": gpus, "env": shaping}
    try:
        for rank, (arguments, visible) in enumerate(commands_of(job, words, gpus, port)):
            path = logs / f"{job['name']}-{rank}.log"
            log_paths.append(path)
            environment = {
                **os.environ,
                "CUDA_VISIBLE_DEVICES": visible,
                "VLLM_NO_USAGE_STATS": "1",
                **job.get("env", {}),
            }
            with path.open("wb") as handle:
                processes.append(
                    subprocess.Popen(
                        [*setting["engine"], "serve", *arguments],
                        stdout=handle,
                        stderr=subprocess.STDOUT,
                        env=environment,
                        start_new_session=True,
                    )
                )
        result["outcome"] = _wait(processes, port, float(job.get("timeout", 240)))
        result["ready_seconds"] = round(time.monotonic() - began, 1)
        if result["outcome"] == "ok":
            used = query("memory.used")
            result["used_mib"] = [int(used[gpu]) for gpu in gpus if gpu < len(used)]
            if job.get("points"):
                model = folder / job["config"]
                result["points"] = speed_load.ask(setting["engine"], model, job["served"], port, job["points"])
            result |= load.measure(job, port, processes)
    except (OSError, ValueError, KeyError) as error:
        result["outcome"] = f"{type(error).__name__}: {error}"
    finally:
        end(processes)
    return result | _read(log_paths)


def _wait(processes: list[subprocess.Popen[bytes]], port: int, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            return "failed"
        if answers(port):
            return "ok"
        time.sleep(_POLL_SECONDS)
    return "timeout"


def _read(paths: list[Path]) -> dict[str, Any]:
    """What the logs say, those of all nodes together."""
    lines = [line for path in paths if path.exists() for line in path.read_text(errors="replace").splitlines()]
    startup = read_log(lines)
    cause = failures.cause(startup.failures)
    return {
        "log": asdict(startup),
        "fullest": startup.fullest.name if startup.fullest else None,
        "failure": asdict(cause) if cause else None,
    }


def run(folder: Path, results: Path, engine: list[str], deadline: float, gpus: int | None) -> int:
    """All jobs of the folder; rows go to `results` as they come, one JSON document a line. Number of results."""
    jobs = json.loads((folder / "jobs.json").read_text(encoding="utf-8"))
    facts = machine(engine)
    pool = Gpus(gpus or facts["gpus"])
    logs = results.parent / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    setting = {"folder": folder, "logs": logs, "engine": engine, "memory_mib": facts["memory_mib"] or 1024}
    for config in sorted({str(job["config"]) for job in jobs}):
        complete_model(folder / config)
    lock, ends = threading.Lock(), time.monotonic() + deadline
    count = 0

    def one(index: int, job: dict[str, Any]) -> None:
        nonlocal count
        if job["gpus"] > pool.count:
            result = {"name": job["name"], "outcome": f"needs {job['gpus']} GPUs, {pool.count} are there"}
        else:
            with pool.take(job["gpus"]) as taken:
                if time.monotonic() + 30 > ends:
                    result = {"name": job["name"], "outcome": "not started: out of time"}
                else:
                    limited = {**job, "timeout": min(float(job.get("timeout", 240)), ends - time.monotonic())}
                    result = run_job(limited, index, taken, setting)
        with lock, results.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps({**facts, "model": job["model"], **result}) + "\n")
            count += 1

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)  # keeps the order of the list while GPUs are free
    for thread in threads:
        thread.join()
    return count
