"""The comparison with other tools: answers and refusals stand in the table; of a rival only the address is changed."""

import csv
import json
import sys
from types import ModuleType
from typing import Any

import pytest
from support.helm import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from documents import accuracy_rivals
from documents.accuracy_rivals import HF_MEM, NAIVE, NATIVE, OURS
from documents.accuracy_rows import own_starts
from measure import compare
from measure.rivals import aiconfigurator_rows, hf_mem_cli

with (ROOT / "docs" / "data" / "comparison.csv").open(newline="") as _handle:
    ROWS = list(csv.DictReader(_handle))


def test_every_row_is_measured_and_answered_or_refused_by_both() -> None:
    names = {file: {start.row["model"].split(" (")[0] for start in own_starts(file)[0]} for file in compare.FILES}
    for row in ROWS:
        assert row["model"] in names[row["file"]]
        assert row["hf_mem_refused"] or float(row["hf_mem_weights_gib"]) > 0
        assert row["aic_refused"] or float(row["aic_kv_cache_gib"]) > 0
        assert (row["hf_mem"], row["aiconfigurator"]) == tuple(compare.pinned().values())


def test_the_section_counts_answers_and_refusals() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text()
    single = [row for row in ROWS if row["tp"] == "1"]
    answered = sum(1 for row in single if row["aic_kv_cache_gib"] and row["aic_source"] == "native")
    assert f"| {OURS} | {len(single)} of {len(single)} |" in page
    assert f"| {NATIVE} | {answered} of " in page
    assert f"| {NAIVE} |" in page
    assert f"| {HF_MEM} |" in page


def test_ours_is_nearer_than_both_where_all_answer() -> None:
    """The claim of the page, row by row in the median: the worst of ours may not exceed their median."""
    ours = {(file, accuracy_rivals._key(start.row)): start for file in compare.FILES for start in own_starts(file)[0]}
    found = accuracy_rivals._fill(ROWS, ours, parallel=False)
    medians = {name: sorted(map(abs, one.budget))[len(one.budget) // 2] for name, one in found.items()}
    assert max(map(abs, found[OURS].budget)) < min(medians[name] for name in (HF_MEM, NATIVE, NAIVE))


def test_hf_mem_is_only_sent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class AsyncClient:
        def build_request(self, method: str, url: Any, **_: Any) -> str:
            return f"{method} {url}"

    client, cli = ModuleType("httpx2"), ModuleType("hf_mem.cli")
    client.AsyncClient = AsyncClient  # type: ignore[attr-defined]
    address = "https://huggingface.co/api/models/a/b/tree/main"
    cli.main = lambda: asked.append(AsyncClient().build_request("GET", address))  # type: ignore[attr-defined]
    for name, module in (("httpx2", client), ("hf_mem", ModuleType("hf_mem")), ("hf_mem.cli", cli)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(sys, "argv", ["x"])
    hf_mem_cli.main()
    assert asked == ["GET http://127.0.0.1:9/api/models/a/b/tree/main"]


def test_what_aiconfigurator_refuses_is_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = ModuleType("aiconfigurator_core.sdk.memory")

    def estimate_kv_cache(*_: Any, **options: Any) -> dict[str, Any]:
        if options["tp_size"] == 1:
            raise ValueError("no KV budget")
        return {"source": "native", "total_kv_size_bytes": 1, "total_kv_size_tokens": 2, "memory_breakdown": None}

    memory.estimate_kv_cache = estimate_kv_cache  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "aiconfigurator_core.sdk.memory", memory)
    row = {"folder": "m", "system": "h200_sxm", "data_version": "1", "tokens": 1, "sequences": 1, "utilization": 0.9,
           "kv_fp8": False, "fp8": False, "experts": False, "total": 1}  # fmt: skip
    assert aiconfigurator_rows.answer({**row, "tp": 1}) == {"refused": "ValueError: no KV budget"}
    assert aiconfigurator_rows.answer({**row, "tp": 2})["kv_bytes"] == 1


def test_the_performance_page_tells_the_ratios_of_its_data() -> None:
    table = json.loads((ROOT / "docs" / "data" / "bench.json").read_text())
    page = (ROOT / "docs" / "performance.md").read_text()
    assert {"plan", "hf-mem", "aiconfigurator", "advise"} <= set(table["runs"])
    for name, runs in table["runs"].items():
        assert f"| {name} | {len(runs)} | {min(run['wall'] for run in runs):.3f} |" in page
    assert table["grid"][-1]["plans"] == table["grid"][-1]["models"] * table["grid"][-1]["profiles"]
    assert "performance.svg" in page
