"""What a user may do wrong: exit code, one clear line, nothing half-written, no traceback."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.command import MISTRAL, run, run_process
from support.fake_hub import FakeHub, FakeModel
from support.tiny import CONFIG

OFFLINE = ["--offline"]


PLAN_CASES: list[tuple[list[str], int, str]] = [
    (["org/no-such-model", "--profile", "2xt4"], 1, "catalogue has no org/no-such-model"),
    (["mistralai/Mistral-7B-Instruct-v0.22", "--profile", "2xt4"], 1, "hint: did you mean mistralai/Mistral-7B"),
    (["no/such/model", "--profile", "2xt4"], 1, "neither a Hugging Face id"),
    (["a b", "--profile", "2xt4"], 1, "neither a Hugging Face id"),
    (["./nowhere", "--profile", "2xt4"], 1, "nowhere/config.json: cannot be read"),
    ([MISTRAL, "--profile", "2xt5"], 1, "profile '2xt5' is not understood"),
    ([MISTRAL, "--profile", "0xt4"], 1, "at least one node and one GPU"),
    ([MISTRAL, "--profile", ""], 1, "the profile is empty"),
    ([MISTRAL, "--profile", "99xt4"], 1, "99 GPUs in one node"),
    ([MISTRAL, "--profile", "1xtpu-v5e"], 1, "GPUs of NVIDIA and AMD and Intel's Gaudi are planned"),
    ([MISTRAL, "--profile", "nowhere.yaml"], 1, "nowhere.yaml: cannot be read"),
    ([MISTRAL, "--profile", "3xt4"], 4, "32 attention heads do not divide by tensor parallel size 3"),
    ([MISTRAL, "--profile", "2x2xt4", "--controller", "deployment"], 4, "controller deployment runs one node"),
    ([MISTRAL, "--profile", "2x2xt4", "--executor", "ray"], 4, "stock images have no Ray since vLLM 0.18.0"),
    ([MISTRAL, "--profile", "2x2xt4", "--controller", "raycluster", "--executor", "mp"], 4, "needs executor ray"),
    ([MISTRAL, "--profile", "2xt4", "--executor", "ray"], 4, "one node needs no Ray"),
    ([MISTRAL, "--profile", "2xt4", "--controller", "pods"], 2, "argument --controller: invalid choice: 'pods'"),
    ([MISTRAL, "--profile", "2xt4", "--storage", "perReplica"], 4, "controller deployment makes no claim per pod"),
    ([MISTRAL, "--profile", "64x1xt4"], 4, "pipeline parallel size 64 is above the 32 layers"),
    (
        [MISTRAL, "--profile", "2x2xt4", "--tensor-parallel-size", "1", "--pipeline-parallel-size", "3"],
        4,
        "does not divide by 2 nodes",
    ),
    ([MISTRAL, "--profile", "2xt4", "--pipeline-parallel-size", "3"], 4, "needs 3 GPUs, 2xt4 has 2"),
    ([MISTRAL, "--profile", "2xt4", "--image-has-ray"], 1, "name it with --image"),
    ([MISTRAL, "--profile", "2xt4", "--engine", "sglang"], 2, "argument --engine: invalid choice: 'sglang'"),
    ([MISTRAL, "--profile", "2xt4", "--engine", "tgi"], 4, "TGI needs compute capability 8.0, Tesla T4 has 7.5"),
    ([MISTRAL, "--profile", "2x1xa10g", "--engine", "tgi"], 4, "TGI shards inside one node"),
    ([MISTRAL, "--profile", "2xa10g", "--engine", "tgi", "--served-name", "m"], 1, "TGI answers under its model's id"),
    ([MISTRAL, "--profile", "2xa10g", "--engine", "tgi", "--gpu-memory-utilization", "0.8"], 1, "holds back a fixed"),
    ([MISTRAL, "--profile", "2xa10g", "--engine", "tgi", "--engine-version", "2.0"], 1, "TGI 2.0 is not known"),
    ([MISTRAL, "--profile", "16xa10g", "--engine", "tgi"], 4, "8 KV heads do not divide by 16 shards"),
    ([MISTRAL, "--profile", "2xa10g", "--engine", "tgis"], 4, "TGIS has no sharded class for MistralForCausalLM"),
    (
        ["ibm-granite/granite-7b-base", "--profile", "2xa10g", "--engine", "tgis", "--kv-cache-dtype", "fp8"],
        4,
        "TGIS has no FP8 KV cache",
    ),
    (["Qwen/Qwen3-32B-AWQ", "--profile", "cpu"], 4, "quantised weights are not planned on CPUs"),
    ([MISTRAL, "--profile", "cpu", "--engine", "tgi"], 4, "engine tgi runs on GPUs only"),
    (["Qwen/Qwen-7B-Chat", "--profile", "2xa10g"], 4, "no longer serves QWenLMHeadModel; 0.23.0 was the last"),
    ([MISTRAL, "--profile", "1xv100"], 4, "needs compute capability 7.5"),
    ([MISTRAL, "--profile", "1xt4"], 4, "try: --quantization fp8"),
    ([MISTRAL, "--profile", "2xt4", "--dtype", "bfloat16"], 4, "dtype bfloat16 needs compute capability 8.0"),
    ([MISTRAL, "--profile", "2xt4", "--dtype", "int4"], 2, "argument --dtype: invalid choice: 'int4'"),
    ([MISTRAL, "--profile", "2xt4", "--dtype", "float32"], 1, "float32 doubles every term"),
    ([MISTRAL, "--profile", "2xt4", "--kv-cache-dtype", "fp8"], 4, "FP8 KV cache needs compute capability 8.0"),
    ([MISTRAL, "--profile", "2xt4", "--quantization", "awq"], 4, "needs a checkpoint of that kind"),
    (["Qwen/Qwen3-32B-AWQ", "--profile", "4xl4", "--quantization", "gptq"], 4, "contradicts it"),
    (["openai/gpt-oss-20b", "--profile", "2xt4"], 4, "mxfp4 needs compute capability 8.0"),
    (["google/gemma-2-9b-it", "--profile", "4xt4"], 4, "refuses float16"),
    ([MISTRAL, "--profile", "2xt4", "--max-model-len", "40000"], 4, "above the 32,768 tokens"),
    ([MISTRAL, "--profile", "2xt4", "--max-model-len", "0"], 1, "--max-model-len is 0"),
    ([MISTRAL, "--profile", "2xt4", "--max-model-len", "many"], 2, "invalid int value"),
    ([MISTRAL, "--profile", "2xt4", "--tensor-parallel-size", "4"], 4, "needs 4 GPUs, 2xt4 has 2"),
    ([MISTRAL, "--profile", "2xt4", "--gpu-memory-utilization", "1.5"], 1, "a fraction above 0, at most 1"),
    ([MISTRAL, "--profile", "2xt4", "--gpu-memory-utilization", "0.3"], 4, "weights need"),
    ([MISTRAL, "--profile", "2xt4", "--max-num-seqs", "-1"], 1, "--max-num-seqs is -1"),
    ([MISTRAL, "--profile", "2xt4", "--replicas", "0"], 1, "--replicas is 0"),
    ([MISTRAL, "--profile", "2xt4", "--engine-version", "9.9.9"], 1, "outside the versions"),
    ([MISTRAL, "--profile", "2xt4", "--engine-version", "new"], 1, "not of the form"),
    ([MISTRAL, "--profile", "2xt4", "--storage", "nfs"], 2, "argument --storage: invalid choice: 'nfs'"),
    ([MISTRAL, "--profile", "2xt4", "--storage", "hostPath"], 1, "needs --storage-name"),
    ([MISTRAL, "--profile", "2xt4", "--download-gbps", "0"], 1, "--download-gbps is 0"),
    ([MISTRAL, "--profile", "2xt4", "--revision", "v1"], 1, "knows no revisions|the Hugging Face cache has no"),
    ([MISTRAL], 2, "--profile"),
    (["deepseek-ai/DeepSeek-V4-Pro", "--profile", "8xh200"], 1, "DeepseekV4ForCausalLM"),
    (["meta-llama/Llama-3.1-70B-Instruct", "--profile", "4xa10g"], 4, "weights need 32.9 GiB per GPU"),
]


@pytest.mark.parametrize(("words", "code", "message"), PLAN_CASES, ids=lambda value: str(value)[:60])
def test_plan_refuses_in_one_line(tmp_path: Path, words: list[str], code: int, message: str) -> None:
    done = run("plan", *words, *OFFLINE, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert any(part in done.stderr for part in message.split("|")), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if code != 2:
        assert sum(line.startswith("error: ") for line in done.stderr.splitlines()) == 1


def test_a_misfit_lists_all_reasons(tmp_path: Path) -> None:
    done = run("plan", "openai/gpt-oss-120b", "--profile", "3xt4", "--kv-cache-dtype", "fp8", *OFFLINE, cwd=tmp_path)
    assert done.returncode == 4
    for reason in ("mxfp4 needs", "FP8 KV cache needs", "do not divide", "weights need"):
        assert reason in done.stderr


def test_a_misfit_as_json(tmp_path: Path) -> None:
    done = run("plan", MISTRAL, "--profile", "1xt4", "--format", "json", *OFFLINE, cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["verdict"]) == (4, "does not fit")
    assert answer["reasons"]
    assert answer["ways_out"]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_values_without_the_gated_models_secret(tmp_path: Path) -> None:
    done = run("values", "meta-llama/Llama-3.1-8B-Instruct", "--profile", "1xl4", "-o", "out/", *OFFLINE, cwd=tmp_path)
    assert done.returncode == 1
    assert "is gated" in done.stderr
    assert "--hf-token-secret NAME" in done.stderr
    assert left(tmp_path) == []


def test_a_misfit_writes_no_file(tmp_path: Path) -> None:
    assert run("values", MISTRAL, "--profile", "1xt4", "-o", "x.yaml", *OFFLINE, cwd=tmp_path).returncode == 4
    assert left(tmp_path) == []


def test_an_unwritable_folder(tmp_path: Path) -> None:
    done = run("values", MISTRAL, "--profile", "2xt4", "-o", "/proc/nothing/x.yaml", *OFFLINE, cwd=tmp_path)
    assert done.returncode == 1
    assert "/proc/nothing/x.yaml: cannot be written" in done.stderr


def test_a_file_where_a_folder_is_meant(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    done = run("values", MISTRAL, "--profile", "2xt4", "-o", "out/x.yaml", *OFFLINE, cwd=tmp_path)
    assert (done.returncode, left(tmp_path)) == (1, ["out"])


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("old\n")
    done = run_process("values", MISTRAL, "--profile", "2xt4", "-o", "x.yaml", *OFFLINE, cwd=tmp_path, limit=1000)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert path.read_text() == "old\n"
    assert left(tmp_path) == ["x.yaml"]


def test_check_tells_a_difference(tmp_path: Path) -> None:
    words = ("values", MISTRAL, "--profile", "2xt4", "-o", "x.yaml", *OFFLINE)
    missing = run(*words, "--check", cwd=tmp_path)
    assert (missing.returncode, left(tmp_path)) == (1, [])
    assert run(*words, cwd=tmp_path).returncode == 0
    assert run(*words, "--check", cwd=tmp_path).returncode == 0
    with (tmp_path / "x.yaml").open("a") as handle:
        handle.write("# mine\n")
    done = run(*words, "--check", cwd=tmp_path)
    assert (done.returncode, "differs" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("replicas: -1\n", "/replicas: -1 is less than the minimum of 0"),
        ("replica: 1\n", "unknown key; did you mean replicas?"),
        ("a: [1\n", "line 2"),
        ("", "is empty"),
        ("- 1\n", "holds a list"),
        ("engine: {args: {swap-space: 4}}\n", "--swap-space was removed after vLLM 0.17.1"),
        ("engine: {args: {max-modellen: 4}}\n", "vLLM has no flag --max-modellen"),
    ],
)
def test_validate_names_file_place_and_rule(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "v.yaml").write_text(text)
    done = run("validate", "v.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "v.yaml" in done.stderr
    assert message in done.stderr


def test_validate_tells_what_helm_passes_over(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("replicas: 1\nreplicas: 2\n---\nreplicas: x\n")
    done = run("validate", "v.yaml", cwd=tmp_path)
    assert done.returncode == 0
    assert "note: v.yaml: line 2: key 'replicas' stands twice; Helm takes the last\n" in done.stderr
    assert "note: v.yaml: holds 2 YAML documents; Helm reads the first one only\n" in done.stderr


def test_validate_of_binary_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    done = run("validate", "b.yaml", "none.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "b.yaml: is not UTF-8" in done.stderr
    assert "none.yaml: cannot be read" in done.stderr


def test_a_corrupt_config_of_a_folder(tmp_path: Path, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG)[:-20])
    done = run("plan", str(folder), "--profile", "1xt4", cwd=tmp_path)
    assert (done.returncode, "config.json is not valid JSON" in done.stderr) == (1, True)


def test_gated_on_the_hub_without_a_token(tmp_path: Path, hub: FakeHub) -> None:
    hub.models["org/closed"] = FakeModel({"config.json": b"{}"}, gated=True, token="hf_x")
    done = run("plan", "org/closed", "--profile", "1xt4", cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 1
    assert "org/closed is gated" in done.stderr


def test_ctrl_c_in_the_middle(tmp_path: Path, hub: FakeHub) -> None:
    hub.models["org/tiny"].statuses["/api/models/org/tiny"] = ["hang"]
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_serving_planner", "values", "org/tiny", "--profile", "1xt4", "-o", "x.yaml"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_ENDPOINT": hub.url},
    )  # fmt: skip
    while not hub.requests:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted"
    assert left(tmp_path) == []


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    script = f"{sys.executable} -m llm_serving_planner models | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.parametrize(
    "word", ["9" * 5000, "9" * 5000 + "xt4", "2x" + "9" * 5000 + "xt4", "٣xt4", "x" * 60_000, "9" * 5000 + "xcpu"]
)
@pytest.mark.parametrize("option", ["--profile", "--revision", "--served-name", "--speculative", "--lora", "MODEL"])
def test_words_of_any_length_end_in_one_line(tmp_path: Path, word: str, option: str) -> None:
    words = [MISTRAL, "--profile", "2xt4", f"{option}={word}"]
    words = {"--profile": [MISTRAL, f"--profile={word}"], "MODEL": [word, "--profile", "2xt4"]}.get(option, words)
    started = time.monotonic()
    done = run("plan", *words, *OFFLINE, cwd=tmp_path)
    assert done.returncode in ({0, 1} if option == "--served-name" else {1}), done.stderr[:300]
    assert time.monotonic() - started < 5
    assert len(done.stderr) < 20_000
