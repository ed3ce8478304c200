"""docs/advice.md: how `advise` predicts speed, and its errors against measurements (docs/data/throughput.csv)."""

import csv
import math
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

from llm_serving_planner.base.units import GIB
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.memory.settings import ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec, Quantization
from llm_serving_planner.speed import constants
from llm_serving_planner.speed.roofline import Engine
from llm_serving_planner.speed.simulation import Requests, Result, percentile, percentile_of_counts, simulate
from llm_serving_planner.speed.steps import Steps

DATA = Path(__file__).parent.parent.parent / "docs" / "data"
TEXT = Path(__file__).parent / "advice_page.md"
KINDS = {
    "total_s": "all requests, s", "tpot_ms": "time per token, ms", "itl_p50_ms": "median between tokens, ms",
    "output_tok_s": "answer tokens/s", "ttft_ms": "first token, ms",
}  # fmt: skip
MOST_SEQUENCES = 1024  # no row runs more requests at once


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measurement with what was predicted for it; `low` and `high` are the band, in the row's own unit."""

    row: dict[str, str]
    measured: float
    predicted: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the measurement lies in the band."""
        return self.low <= self.measured <= self.high

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1


def _spec(row: dict[str, str]) -> ModelSpec:
    spec = embedded.find(row["catalogue_model"])
    if spec is None:
        raise KeyError(row["catalogue_model"])
    if row["weights_gib"]:
        loaded = int(float(row["weights_gib"]) * GIB)
        spec = replace(spec, weights=replace(spec.weights, loaded_bytes=loaded))
    if row["quantization"]:
        spec = replace(spec, quantization=Quantization(row["quantization"], 4, group_size=128))
    return spec


def _simulated(row: dict[str, str]) -> tuple[Engine, Result]:
    """One's own rows are all requests at the same moment; others' are taken as so many in flight, again and again."""
    spec, profile = _spec(row), parse_profile(row["gpus"])
    prompt, answer, at_once = (int(row[key]) for key in ("prompt_tokens", "answer_tokens", "concurrency"))
    settings = Settings(
        ParallelConfig(profile.gpus_per_node),
        prompt + answer,
        MOST_SEQUENCES,
        int(row["batched_tokens"]),
        0.9,
        enforce_eager=row["eager"] == "yes",
    )
    native = spec.quantization is not None and spec.quantization.method == "fp8"
    engine = Engine(spec, profile, settings, native)
    steps = Steps(engine)
    if not steps.known:
        raise ValueError(f"{row['id']}: no bandwidth for {row['gpus']}")
    burst = row["source"].startswith("docs/") or at_once == 1
    shared = 0.999 if row["prompts_cached"] == "yes" else 0.0
    found = simulate(
        steps,
        Requests([(prompt, answer)] * (at_once if burst else 4 * at_once), concurrency=at_once, shared=shared),
        budget=settings.max_num_batched_tokens,
        seats=MOST_SEQUENCES,
        cache=math.inf,
        beside=constants.request_seconds(),
        reading=constants.reading_seconds(),
    )
    return engine, found


def compare(row: dict[str, str]) -> Comparison:
    """The row's figure as predicted, with its band."""
    engine, found = _simulated(row)
    low, high = engine.constants.band
    measured, metric = float(row["value"]), row["metric"]
    if metric == "output_tok_s":
        rate = found.tokens_per_second
        return Comparison(row, measured, rate, rate * low, rate * high)
    predicted = {
        "ttft_ms": 1000 * percentile(found.first, 50),
        "itl_p50_ms": 1000 * percentile_of_counts(found.gaps, 50),
        "tpot_ms": 1000 * percentile(found.each, 50),
        "total_s": found.seconds + constants.request_seconds(),
    }[metric]
    return Comparison(row, measured, predicted, predicted / high, predicted / low)


def comparisons() -> list[Comparison]:
    """Every row of the data."""
    with (DATA / "throughput.csv").open(newline="", encoding="utf-8") as handle:
        return [compare(row) for row in csv.DictReader(handle)]


def _line(found: Comparison) -> str:
    row = found.row
    source = row["source"]
    link = f"[{row['id']}]({source})" if source.startswith("http") else row["id"]
    load = f"{row['concurrency']} x {row['prompt_tokens']}+{row['answer_tokens']}"
    digits = 2 if found.measured < 10 else 1 if found.measured < 100 else 0
    return (
        f"| {link} | {row['model']}{', eager' if row['eager'] == 'yes' else ''} | {row['gpus']} | {load} | "
        f"{KINDS[row['metric']]} | {found.measured:.{digits}f} | {found.predicted:.{digits}f} | "
        f"{found.low:.{digits}f} to {found.high:.{digits}f} | {found.error:+.0%} | "
        f"{'' if found.inside else 'outside'} |"
    )


def _summary(name: str, rows: list[Comparison]) -> str:
    errors = [abs(found.error) for found in rows]
    return (
        f"{name}: {len(rows)} rows, {sum(found.inside for found in rows)} inside the band; error of the prediction "
        f"{statistics.fmean(errors):.0%} on the mean, {statistics.median(errors):.0%} median, {max(errors):.0%} worst."
    )


def error_table() -> str:
    """The generated part of the page."""
    found = comparisons()
    head = "| Row | Model | GPUs | requests x tokens | what | measured | predicted | band | error | |"
    lines = [head, "|---|---|---|---|---|---:|---:|---:|---:|---|", *map(_line, found), ""]
    speed = [item for item in found if item.row["metric"] != "ttft_ms"]
    first = [item for item in found if item.row["metric"] == "ttft_ms"]
    for name, rows in (("Decoding and throughput", speed), ("Time to first token", first)):
        for used, said in (
            ("fit", "seen when the constants were chosen"),
            ("check", "predicted with the constants as they were"),
        ):
            lines.append("- " + _summary(f"{name}, {said}", [item for item in rows if item.row["used"] == used]))
    outside = [item for item in found if not item.inside]
    lines += ["", f"Outside the band: {', '.join(item.row['id'] for item in outside) or 'none'}."]
    remarks = [f"- {item.row['id']}: {item.row['remark']}" for item in found if item.row["remark"]]
    return "\n".join([*lines, "", "What the sources leave open:", "", *remarks])


def advice_page() -> str:
    """Text of the page: tools/documents/advice_page.md with the table in its place."""
    return TEXT.read_text(encoding="utf-8").replace("<!-- TABLE -->", error_table())
