"""`llm-serving check` on real logs (tests/data/logs.yaml): held against a plan, or read for their failure."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.helm import ROOT

EXCERPTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests" / "data" / "logs.yaml").read_text())
OSS, LLAMA = "openai/gpt-oss-20b", "meta-llama/Llama-3.1-8B-Instruct"


def check(source: str, folder: Path, *words: str) -> tuple[int, str]:
    (excerpt,) = (entry for entry in EXCERPTS if source in f"{entry['source']} {entry['what']}")
    path = folder / "engine.log"
    path.write_text(excerpt["log"])
    command = [sys.executable, "-m", "llm_serving", "check", str(path), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("source", "words", "cache"),
    [
        ("ai-vllm-a100-gemma-4",
         (OSS, "0.19.0", "--max-model-len", "131072", "--gpu-memory-utilization", "0.65"), (36.57, 36.56)),
        ("M301", (LLAMA, "0.31.0", "--max-model-len", "131072", "--gpu-memory-utilization", "0.92"), (56.22, 56.21)),
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
