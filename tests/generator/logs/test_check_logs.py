"""`llm-serving check` on real logs (tests/data/logs.yaml): held against a plan, or read for their failure."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.helm import ROOT

EXCERPTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests" / "data" / "logs.yaml").read_text())
OSS, LLAMA = "openai/gpt-oss-20b", "meta-llama/Llama-3.1-8B-Instruct"


def check(source: str, folder: Path, *words: str) -> tuple[int, str]:
    (excerpt,) = (entry for entry in EXCERPTS if source in f"{entry['source']} {entry['what']}")
    path = folder / "engine.log"
    path.write_text(excerpt["log"])
    command = [sys.executable, "-m", "llm_serving_planner", "check", str(path), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("source", "words", "cache"),
    [
        ("ai-vllm-a100-gemma-4",
         (OSS, "0.19.0", "--max-model-len", "131072", "--gpu-memory-utilization", "0.65"), (36.57, 36.56)),
        ("M301", (LLAMA, "0.31.0", "--max-model-len", "131072", "--gpu-memory-utilization", "0.92"), (55.77, 56.21)),
    ],
    ids=["gpt-oss-20b, MXFP4, 0.19.0", "Llama-3.1-8B, defaults, 0.31.0"],
)  # fmt: skip
def test_a_start_on_an_a100_is_as_planned(
    tmp_path: Path, source: str, words: tuple[str, ...], cache: tuple[float, float]
) -> None:
    model, version, *pins = words
    plan = ("--model", model, "--profile", "1xa100-80gb", "--engine-version", version, "--offline", *pins)
    code, said = check(source, tmp_path, *plan)
    assert code == 0, said
    row = next(line for line in said.splitlines() if "KV cache (GiB)" in line).split()
    assert tuple(map(float, row[3:5])) == cache


@pytest.mark.parametrize(
    ("source", "failure", "way_out"),
    [
        ("issues/34076", "context too long", "--max-model-len"),
        ("issues/17939", "out of memory in the sampler", "--max-num-seqs"),
        ("issues/20305", "memory taken by others", "--gpu-memory-utilization"),
        ("more context than the model has", "longer than the model", "--max-model-len 2048"),
        ("the GPU is not free yet", "memory taken by others", "--gpu-memory-utilization 0.76"),
        ("issues/10439", "no room for the cache", ""),
    ],
)
def test_a_failed_start_is_named_with_the_flag_that_helps(
    tmp_path: Path, source: str, failure: str, way_out: str
) -> None:
    code, said = check(source, tmp_path)
    assert code == 1
    assert f"FAILED: {failure}" in said
    assert f"try: {way_out}" in said or not way_out, said


def test_ranks_of_a_pipeline_are_told_apart(tmp_path: Path) -> None:
    code, said = check("pipeline of two", tmp_path)
    assert code == 0
    assert "the fullest is Worker_PP1" in said


def row(said: str, term: str) -> list[str]:
    return next(line for line in said.splitlines() if line.strip().startswith(term))[35:].split()


def test_a_block_fp8_start_on_an_h200_term_by_term(tmp_path: Path) -> None:
    plan = ("--model", "Qwen/Qwen3-8B-FP8", "--profile", "1xh200", "--engine-version", "0.33.0", "--offline")
    pins = ("--max-model-len", "8192", "--gpu-memory-utilization", "0.9", "--max-num-seqs", "256",
            "--max-num-batched-tokens", "8192")  # fmt: skip
    _, said = check("kernels compiled while graphs", tmp_path, *plan, *pins)
    assert 0 < float(row(said, "KV cache (GiB)")[2]) < 0.35
    assert row(said, "weights (GiB)")[1] == "8.80"
    # 9.14 - 8.80 + 1.81 - 0.62: graphs are a term of their own
    assert row(said, "activations and non-torch (GiB)")[1] == "1.53"
    assert row(said, "CUDA graphs (GiB)")[1:] == ["0.62", "-0.14", "0.25", "charged;", "0.27", "taken"]
    assert row(said, "compile (s)")[:2] == ["180.00", "29.33"], "DeepGEMM's kernels are planned for beside torch's"


@pytest.mark.parametrize(
    ("source", "values", "terms"),
    [
        ("0.33.0, compiled, one rank", "qwen3-8b-1xh200", {"weights": "15.27", "activations and non-torch": "1.99"}),
        ("arguments of a committed values file", "granite-8b-2xt4", {"budget": "13.34", "weights": "7.50"}),
        ("a mixture of experts over two ranks", "qwen3-30b-a3b-2xh200", {"weights": "28.46", "CUDA graphs": "0.74"}),
    ],
)
def test_own_starts_gave_more_than_the_values_files_promise(
    tmp_path: Path, source: str, values: str, terms: dict[str, str]
) -> None:
    """Without FlashInfer and multicast there is more room than the stock image leaves; never less."""
    code, said = check(source, tmp_path, "--values", str(ROOT / "values" / f"{values}.yaml"))
    assert code == 1
    for term, measured in terms.items():
        assert row(said, f"{term} (GiB)")[1] == measured
    planned, found = map(float, row(said, "KV cache (GiB)")[:2])
    assert found > planned


def test_ranks_under_ray_and_on_two_nodes(tmp_path: Path) -> None:
    code, said = check("under Ray 2.60", tmp_path)
    assert (code, "vLLM 0.33.0; 2 ranks, the fullest is Worker_TP0" in said) == (0, True), said
    assert row(said, "weights (GiB)") == ["7.54"]
    assert row(said, "KV cache (GiB)") == ["117.64"]
    assert row(said, "load (s)") == ["2.61"]
    code, said = check("the first of two nodes", tmp_path)
    assert (code, row(said, "requests at once")) == (0, ["235.24", "of", "8,192", "tokens"])
    assert said.count("started") == 1
    code, said = check("the second of two nodes", tmp_path)
    assert (code, row(said, "KV cache (GiB)")) == (0, ["117.62"])
    assert "no failure in the log" in said


def test_a_package_that_the_image_lacks_is_named(tmp_path: Path) -> None:
    code, said = check("a package of the tokenizer", tmp_path)
    assert code == 1
    assert "FAILED: a Python package is missing" in said
    assert 'requires "pycountry" to be installed' in said
