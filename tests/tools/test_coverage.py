"""tools/measure/coverage.py over a folder of small configs: what it counts, and when it fails."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.configs import BASE, LINEAR, LLAMA
from support.helm import ROOT

KEPT = json.loads((ROOT / "docs" / "data" / "coverage.json").read_text())
COLUMNS = (
    "hf_id", "kv_bytes_per_token_16bit_all_layers", "kv_bytes_per_token_16bit_windowed", "recurrent_state_per_seq",
    "tie_effective", "num_experts", "params_text_formula", "params_transformers_meta", "vision_params",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "configs"
    path.mkdir()
    configs: dict[str, Any] = {
        "a__llama.json": LLAMA,
        "a__linear.json": {"architectures": ["Qwen3NextForCausalLM"], **BASE, **LINEAR, "head_dim": 16},
        "a__odd.json": {**LLAMA, "layer_types": ["retention"] * 4},
        "a__llama.hf_quant_config.json": {"quantization": {"quant_algo": "FP8"}},
    }
    for name, config in configs.items():
        (path / name).write_text(json.dumps(config))
    return path


def run(folder: Path, known: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "measure.coverage", str(folder)]
    if known is not None:
        table = folder.parent / "known.csv"
        with table.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, COLUMNS, restval="")
            writer.writeheader()
            writer.writerow(known)
        words += ["--known", str(table)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment)


def test_counts_and_refusals(folder: Path) -> None:
    done = run(folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "LlamaForCausalLM                              answered   1  refused   1" in lines
    assert "refused   a/odd: layer_types (LlamaForCausalLM): known are " in done.stdout
    assert lines[-1].startswith("2 of 3 answered (66.7 %)")


def test_figures_that_agree(folder: Path) -> None:
    states = json.dumps({"layers": 3, "ssm_elems": 3 * 256, "conv_elems": 3 * 192})
    known = {"hf_id": "a/linear", "kv_bytes_per_token_16bit_all_layers": "128", "recurrent_state_per_seq": states}
    done = run(folder, known)
    assert done.returncode == 0, done.stdout
    assert "'state_bytes': 1" in done.stdout


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("kv_bytes_per_token_16bit_all_layers", "513", "kv_bytes 512, known 513"),
        ("kv_bytes_per_token_16bit_windowed", "64", "kv_windowed_bytes 0, known 64"),
        ("tie_effective", "True", "tied False, known True"),
        ("num_experts", "8", "experts None, known 8"),
        ("params_text_formula", "200000", "parameters "),
        ("recurrent_state_per_seq", '{"layers": 3, "ssm_elems": 1, "conv_elems": 1}', "layers_with_state 0, known 3"),
    ],
)
def test_a_difference_that_nobody_explained_fails(folder: Path, column: str, value: str, what: str) -> None:
    done = run(folder, {"hf_id": "a/llama", column: value})
    assert done.returncode == 1
    assert f"differs   a/llama: {what}" in done.stdout
    assert "not explained" in done.stdout


def test_the_kept_run_answers_what_was_promised() -> None:
    assert KEPT["answered"] + len(KEPT["refused"]) == KEPT["configs"]
    assert KEPT["answered"] >= 0.95 * KEPT["configs"]
    assert all(entry["why"] != "not explained" for entry in KEPT["differences"])
    assert all(entry["field"] and entry["reason"] for entry in KEPT["refused"])
