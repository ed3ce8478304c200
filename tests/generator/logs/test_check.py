"""`llm-serving check` as a user types it: logs of files, of stdin and of a release."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.logs import promise
from support.command import MISTRAL, run
from support.helm import ROOT

VALUES = str(ROOT / "values" / "llama3-8b-2xt4.yaml")
PLAN = yaml.safe_load(Path(VALUES).read_text())["plan"]
# In the form of vLLM 0.33.0 with two ranks; the numbers are those of the committed plan, a little off.
LOG = """\
(APIServer pid=1) INFO 11-28 11:45:51 [api_server.py:1] vLLM API server version 0.33.0
(APIServer pid=1) INFO 11-28 11:45:51 [utils.py:1] non-default args: {'max_model_len': 8192, \
'gpu_memory_utilization': 0.92, 'max_num_seqs': 256, 'max_num_batched_tokens': 2048, 'tensor_parallel_size': 2}
(Worker_TP0 pid=34) INFO 11-28 11:46:59 [gpu_model_runner.py:1] Model loading took 7.52 GiB memory and 31.66 seconds
(Worker_TP1 pid=35) INFO 11-28 11:46:59 [gpu_model_runner.py:1] Model loading took 7.52 GiB memory and 30.10 seconds
(Worker_TP0 pid=34) INFO 11-28 11:47:59 [gpu_worker.py:1] Available KV cache memory: 4.02 GiB
(Worker_TP1 pid=35) INFO 11-28 11:47:59 [gpu_worker.py:1] Available KV cache memory: KV GiB
(EngineCore pid=36) INFO 11-28 11:47:59 [kv_cache_utils.py:1] GPU KV cache size: 65,200 tokens, Maximum concurrency \
for 8,192 tokens per request: 7.96x
(Worker_TP1 pid=35) INFO 11-28 11:48:09 [gpu_model_runner.py:1] Graph capturing finished in 7 secs, took 0.41 GiB
(APIServer pid=1) INFO:     Application startup complete.
(APIServer pid=1) INFO 11-28 11:48:11 [loggers.py:1] Engine 000: Avg prompt throughput: 0.0 tokens/s
"""


def write(folder: Path, cache: str = "3.98", extra: str = "") -> str:
    path = folder / "engine.log"
    path.write_text(LOG.replace("KV GiB", f"{cache} GiB") + extra)
    return str(path)


def test_a_start_as_planned(tmp_path: Path) -> None:
    done = run("check", write(tmp_path), "--values", VALUES)
    assert done.returncode == 0, done.stderr
    assert "vLLM 0.33.0; 2 ranks, the fullest is Worker_TP1; against" in done.stdout
    assert done.stdout.endswith("as planned, within 0.50 GiB\n")
    row = next(line for line in done.stdout.splitlines() if line.startswith("  KV cache"))
    assert row.split() == ["KV", "cache", "(GiB)", "4.14", "3.98", "-0.16", "0.50"]


def test_json_has_every_term_and_phase(tmp_path: Path) -> None:
    done = run("check", write(tmp_path), "--values", VALUES, "--format", "json")
    report = json.loads(done.stdout)
    rows = {row["term"]: row for row in report["rows"]}
    assert report["ok"] is True
    assert report["band_gib"] == PLAN["estimateGiBPerGpu"]["margin"]
    assert rows["weights"]["planned"] == PLAN["estimateGiBPerGpu"]["weights"]
    assert rows["load"] == {
        "term": "load", "unit": "s", "planned": 33.0, "measured": 31.66, "band": None, "decides": False, "remark": "",
        "difference": pytest.approx(-1.34), "off": False,
    }  # fmt: skip
    assert rows["start in all"]["measured"] == 140.0
    assert rows["requests at once"]["planned"] == PLAN["concurrency"]
    # 0.92 x 14.56 - 7.52 - 3.98: what activations, NCCL and graphs took together
    assert rows["all but weights and cache"]["measured"] == pytest.approx(13.40 - 7.52 - 3.98)


@pytest.mark.parametrize(("cache", "ok"), [("3.64", True), ("3.62", False), ("4.63", True), ("4.67", False)])
def test_the_band_decides(tmp_path: Path, cache: str, ok: bool) -> None:
    """4.14 GiB are planned, the band is 0.50, both sides round to 0.01."""
    if cache > "4.02":  # the other rank would be the fullest
        path = tmp_path / "engine.log"
        path.write_text(LOG.replace("KV GiB", f"{cache} GiB").replace("memory: 4.02", "memory: 5.00"))
        log = str(path)
    else:
        log = write(tmp_path, cache)
    done = run("check", log, "--values", VALUES)
    assert (done.returncode == 0) is ok
    assert ("OFF by more than the band: KV cache" in done.stdout) is not ok


def test_a_smaller_cache_names_what_it_holds(tmp_path: Path) -> None:
    done = run("check", write(tmp_path, "1.00"), "--values", VALUES)
    assert done.returncode == 1
    assert "try: --max-num-seqs 2: the cache holds 2.00 of the longest requests, 8.28 were planned" in done.stdout


def test_a_failure_names_the_corrected_flags(tmp_path: Path) -> None:
    text = (
        "(EngineCore pid=36) ERROR 11-28 11:48:00 [core.py:1] ValueError: To serve at least one request with the "
        "model's max seq len (8192), (0.5 GiB KV cache is needed, which is larger than the available KV cache memory "
        "(0.31 GiB). Based on the available memory, the estimated maximum model length is 5079. Try\n"
    )
    done = run("check", write(tmp_path, "0.31", text), "--values", VALUES)
    assert done.returncode == 1
    assert "FAILED: context too long" in done.stdout
    assert "try: --max-model-len 5072: the longest request that the cache holds" in done.stdout
    assert "try: --kv-cache-dtype fp8" in done.stdout
    assert "try: --gpu-memory-utilization 0.94: 0.19 GiB more than the 0.92 of 14.56 GiB, 0.87 GiB stay" in done.stdout
    # 0.96 would leave 0.58 GiB, 0.70 are needed outside the budget: not proposed
    less = run("check", write(tmp_path, "0.05", text.replace("0.31", "0.05")), "--values", VALUES)
    assert "--gpu-memory-utilization" not in less.stdout


def test_stdin_and_a_plan_made_now() -> None:
    log = LOG.replace("KV GiB", "3.98 GiB")
    words = ("check", "-", "--model", MISTRAL, "--profile", "2xt4", "--offline", "--format", "json")
    done = subprocess.run(
        [sys.executable, "-m", "llm_serving_planner", *words], input=log, capture_output=True, text=True, check=False,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["plan"] == f"plan of {MISTRAL} on 2xt4"
    assert [row["term"] for row in report["rows"] if row["off"] and row["decides"]] == ["weights", "KV cache"]
    assert done.returncode == 1


def test_a_plan_file_in_each_form(tmp_path: Path) -> None:
    printed = run("plan", "meta-llama/Meta-Llama-3-8B-Instruct", "--profile", "2xt4", "--offline", "--format", "json")
    forms: dict[str, Any] = {
        "json": json.loads(printed.stdout),
        "block": PLAN,
        "config-map": {"kind": "ConfigMap", "data": {"plan.yaml": yaml.safe_dump(PLAN)}},
        "values": yaml.safe_load(Path(VALUES).read_text()),
    }
    for name, document in forms.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document))
        done = run("check", write(tmp_path), "--plan", str(path))
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        assert "  KV cache (GiB)                        4.14      3.98    -0.16   0.50" in done.stdout, name


def test_without_a_plan_the_log_is_only_read(tmp_path: Path) -> None:
    done = run("check", write(tmp_path))
    assert done.returncode == 0
    assert done.stdout.endswith("\nstarted\n")
    assert done.stderr.startswith("note: no plan to compare with; give --values FILE")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "error: no log is given\nhint: name a file, - for stdin, or --release NAME\n"),
        (("nowhere.log",), "error: nowhere.log: cannot be read (No such file or directory)\n"),
        (("empty.log",), "error: empty.log: none of its 1 lines says anything of memory\n"
         "hint: vLLM, TGI and TGIS say it while they start: give the log from the beginning, at level INFO\n"),
        (("empty.log", "--values", "a", "--plan", "b"), "error: --values and --plan are two plans\nhint: give one of "
         "--values FILE, --plan FILE, or --model M with --profile P\n"),
        (("empty.log", "--model", "m"), "error: --model and --profile belong together\nhint: give one of "
         "--values FILE, --plan FILE, or --model M with --profile P\n"),
        (("empty.log", "--max-num-seqs", "4"), "error: --max-num-seqs is a pin of a plan made now\nhint: add --model "
         "and --profile, or leave it away\n"),
        (("empty.log", "--plan", "empty.log"), "error: empty.log: holds no mapping; a plan is meant\n"),
        (("empty.log", "--plan", "other.yaml"), "error: other.yaml: neither a `plan` block nor the JSON of a plan\n"
         "hint: `llm-serving plan MODEL --profile P --format json` prints one\n"),
        (("empty.log", "--values", str(ROOT / "charts/llm-serving/ci/tgi-values.yaml")),
         f"error: {ROOT / 'charts/llm-serving/ci/tgi-values.yaml'}: /plan/estimateGiBPerGpu is missing; it is what the "
         "log is held against\nhint: write the file with `llm-serving values`, or give --model and --profile\n"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_a_hint(tmp_path: Path, words: tuple[str, ...], text: str) -> None:
    (tmp_path / "empty.log").write_text("hello\n")
    (tmp_path / "other.yaml").write_text("a: 1\n")
    done = run("check", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", text)


def test_an_estimate_with_a_hole_is_refused() -> None:
    block = PLAN | {"estimateGiBPerGpu": PLAN["estimateGiBPerGpu"] | {"weights": "much"}}
    with pytest.raises(InputError, match="the estimate's weights is 'much'; a number is expected"):
        promise.of_block(block, "x")


# A kubectl that answers from files and refuses everything that is no read.
KUBECTL = """#!/bin/sh
case "$*" in
  *"get pods -n prod -l app.kubernetes.io/instance=mine,app.kubernetes.io/component=engine -o json")
    cat "$ANSWERS/pods.json";;
  *"get configmaps -n prod -l app.kubernetes.io/instance=mine,app.kubernetes.io/component=plan -o json")
    cat "$ANSWERS/maps.json";;
  *"logs mine-0 -n prod -c engine") cat "$ANSWERS/log";;
  *"logs mine-0 -n prod -c engine --previous") cat "$ANSWERS/previous";;
  *) echo "error: unexpected $*" >&2; exit 9;;
esac
"""


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, Any]:
    client = tmp_path / "bin" / "kubectl"
    client.parent.mkdir()
    client.write_text(KUBECTL)
    client.chmod(0o755)
    (tmp_path / "maps.json").write_text(
        json.dumps({"items": [{"metadata": {"name": "mine-plan"}, "data": {"plan.yaml": yaml.safe_dump(PLAN)}}]})
    )
    (tmp_path / "log").write_text(LOG.replace("KV GiB", "3.98 GiB"))
    (tmp_path / "previous").write_text("ValueError: No available memory for the cache blocks.\n")
    return {"PATH": f"{client.parent}:{os.environ['PATH']}", "ANSWERS": str(tmp_path)}


def pods(folder: str, **status: Any) -> None:
    args = ["meta-llama/Meta-Llama-3-8B-Instruct", "--max-model-len", "8192", "--gpu-memory-utilization", "0.89"]
    spec = {"containers": [{"name": "side"}, {"name": "engine", "args": args}]}
    pod = {
        "metadata": {"name": "mine-0"},
        "spec": spec,
        "status": {"containerStatuses": [{"name": "engine", **status}]},
    }
    (Path(folder) / "pods.json").write_text(json.dumps({"items": [pod]}))


def test_a_release_is_held_against_its_own_plan(cluster: dict[str, Any]) -> None:
    pods(cluster["ANSWERS"], state={"running": {}})
    done = run("check", "--release", "mine", "--namespace", "prod", **cluster)
    assert done.returncode == 0, done.stderr
    assert "against plan of release mine" in done.stdout
    # the length is the pod's own flag: requests of it are compared
    row = next(line for line in done.stdout.splitlines() if "requests at once" in line)
    assert row.split()[3:6] == ["8.28", "7.96", "-0.32"]


def test_of_a_pod_that_keeps_restarting_the_start_before_is_read(cluster: dict[str, Any]) -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    pods(cluster["ANSWERS"], state=waiting, lastState={"terminated": {"reason": "Error", "exitCode": 1}})
    done = run("check", "--release", "mine", "--namespace", "prod", **cluster)
    assert done.returncode == 1
    assert "FAILED: no room for the cache" in done.stdout


def test_a_pod_that_the_kernel_ended_says_so(cluster: dict[str, Any]) -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    pods(cluster["ANSWERS"], state=waiting, lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}})
    done = run("check", "--release", "mine", "--namespace", "prod", **cluster)
    assert "FAILED: killed for host memory\n  pod mine-0: OOMKilled" in done.stdout


def test_a_release_that_is_not_there(cluster: dict[str, Any]) -> None:
    (Path(cluster["ANSWERS"]) / "pods.json").write_text('{"items": []}')
    done = run("check", "--release", "mine", "--namespace", "prod", **cluster)
    assert done.stderr == (
        "error: --release mine: namespace prod has no pods of it\n"
        "hint: `helm list -n prod` shows the releases; --namespace names another\n"
    )
    both = run("check", "engine.log", "--release", "mine", **cluster)
    assert both.stderr == "error: --release reads the log itself\nhint: leave engine.log away, or --release\n"


def test_kubectl_that_fails_is_quoted(cluster: dict[str, Any]) -> None:
    done = run("check", "--release", "other", "--namespace", "prod", **cluster)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: --release: kubectl failed with exit code 9: error: unexpected get pods -n prod"
    )


@pytest.mark.parametrize("piece", ["9", "9,", "(", "CUDA out of memory ", "1."])
def test_a_line_of_many_digits_costs_nothing(tmp_path: Path, piece: str) -> None:
    (tmp_path / "log").write_text(f"{piece * (40_000 // len(piece))}\n" * 5)
    started = time.monotonic()
    assert run("check", "log", cwd=tmp_path).returncode == 1
    assert time.monotonic() - started < 3
