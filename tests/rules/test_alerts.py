"""The rendered alerts under promtool: each fires on the series that it is made for, and not on their neighbours."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.helm import find, in_process, merge
from support.releases import BASE, ENGINES

RULES = {
    "prometheusRule": {"enabled": True, "interTokenLatencySeconds": 0.1},
}
FAST = {"prometheusRule": {"timeToFirstTokenSeconds": 2}}
LABELS = 'namespace="llm",app_kubernetes_io_instance="mistral"'
POD = f'{LABELS},pod="mistral-0"'
TARGET = f"up{{{POD}}}"
# Budget 900 s and image pull 900 s are the chart's defaults; samples come every minute.
Series = dict[str, str]
Case = tuple[str, str, int, Series, Series]
TGI_PROBLEM = f'tgi_request_failure{{{POD},err="generation"}}'


def buckets(name: str, *, slow: bool) -> Series:
    """A histogram whose requests take 5 s, or 10 ms."""
    found = {}
    for bound, fast in (("0.01", "0+60x60"), ("1", "0+60x60"), ("10", "0+60x60"), ("+Inf", "0+60x60")):
        below = "0+0x60" if slow and bound in {"0.01", "1"} else fast
        found[f'{name}{{{POD},le="{bound}"}}'] = below
    return found


def answers(status: str) -> str:
    """Requests by the class of their answer."""
    return f'http_requests_total{{{POD},status="{status}"}}'


VLLM: list[Case] = [
    ("LlmEngineDown", "vllm", 20, {TARGET: "1x10 0x20"}, {TARGET: "1x30"}),
    ("LlmEngineDown", "vllm", 20, {TARGET: "0x5 1x5 0x20"}, {TARGET: "0x30"}),  # loading is not down
    ("LlmEngineDown", "vllm", 13, {TARGET: "1x10 0x20"}, {TARGET: "1x10 0 1x20"}),  # one lost scrape is not down
    ("LlmStartOverBudget", "vllm", 17, {TARGET: "0x30"}, {TARGET: "0x14 1x20"}),
    ("LlmStartOverBudget", "vllm", 40, {TARGET: "0x60"}, {TARGET: "1x10 0x60"}),
    ("LlmEngineAbsent", "vllm", 31, {'up{namespace="other"}': "1x60"}, {TARGET: "0x60"}),
    (
        "LlmQueueGrowing", "vllm", 30,
        {f"vllm:num_requests_waiting{{{POD}}}": "0+5x60"},
        {f"vllm:num_requests_waiting{{{POD}}}": "500-5x60"},
    ),
    (
        "LlmQueueGrowing", "vllm", 30,
        {f"vllm:num_requests_waiting{{{POD}}}": "21+1x60"},
        {f"vllm:num_requests_waiting{{{POD}}}": "0+0.5x60"},
    ),
    (
        "LlmKvCacheFull", "vllm", 20,
        {f"vllm:kv_cache_usage_perc{{{POD}}}": "0.99x60"},
        {f"vllm:kv_cache_usage_perc{{{POD}}}": "0.95x60"},
    ),
    (
        "LlmPreemptions", "vllm", 30,
        {f"vllm:num_preemptions_total{{{POD}}}": "0+10x60"},
        {f"vllm:num_preemptions_total{{{POD}}}": "0+5x60"},
    ),
    (
        "LlmErrors", "vllm", 20,
        {answers("2xx"): "0+90x60", answers("5xx"): "0+10x60"},
        {answers("2xx"): "0+90x60", answers("4xx"): "0+90x60", answers("5xx"): "0+1x60"},
    ),
    (
        "LlmFirstTokenSlow", "vllm", 30,
        buckets("vllm:time_to_first_token_seconds_bucket", slow=True),
        buckets("vllm:time_to_first_token_seconds_bucket", slow=False),
    ),
    (
        "LlmTokensSlow", "vllm", 30,
        buckets("vllm:inter_token_latency_seconds_bucket", slow=True),
        buckets("vllm:inter_token_latency_seconds_bucket", slow=False),
    ),
]  # fmt: skip
TGI: list[Case] = [
    case
    for engine in ("tgi", "tgis")
    for case in (
        ("LlmEngineDown", engine, 20, {TARGET: "1x10 0x20"}, {TARGET: "1x30"}),
        (
            "LlmQueueGrowing", engine, 30,
            {f"tgi_queue_size{{{POD}}}": "0+5x60"}, {f"tgi_queue_size{{{POD}}}": "25x60"},
        ),
        (
            "LlmErrors", engine, 20,
            {f"tgi_request_count{{{POD}}}": "0+90x60", TGI_PROBLEM: "0+10x60"},
            {f"tgi_request_count{{{POD}}}": "0+90x60", TGI_PROBLEM.replace("generation", "validation"): "0+80x60"},
        ),
        (
            "LlmTokensSlow", engine, 30,
            buckets("tgi_request_mean_time_per_token_duration_bucket", slow=True),
            buckets("tgi_request_mean_time_per_token_duration_bucket", slow=False),
        ),
    )
]  # fmt: skip


def of_engines(name: str, *values: str) -> Series:
    """One series per data parallel engine of the same pod, as vLLM labels them."""
    return {f'{name}{{{POD},engine="{number}"}}': value for number, value in enumerate(values)}


DATA_PARALLEL: list[Case] = [
    (
        "LlmQueueGrowing", "vllm", 30,
        of_engines("vllm:num_requests_waiting", "0+1x60", "0+1x60"),
        of_engines("vllm:num_requests_waiting", "0+5x60", "500-5x60"),  # one engine takes what the other hands over
    ),
    (
        "LlmKvCacheFull", "vllm", 20,
        of_engines("vllm:kv_cache_usage_perc", "0.99x60", "0.1x60"),
        of_engines("vllm:kv_cache_usage_perc", "0.6x60", "0.6x60"),  # shares do not add up
    ),
    (
        "LlmPreemptions", "vllm", 30,
        of_engines("vllm:num_preemptions_total", "0+4x60", "0+4x60"),
        of_engines("vllm:num_preemptions_total", "0+2x60", "0+2x60"),
    ),
]  # fmt: skip
CASES = VLLM + TGI + DATA_PARALLEL


def rules(engine: str) -> dict[str, Any]:
    monitoring = merge(RULES, FAST) if engine == "vllm" else RULES
    spec: dict[str, Any] = find(
        in_process(merge(merge(BASE, ENGINES[engine]), {"monitoring": monitoring})), "PrometheusRule"
    )["spec"]
    return spec


def judged(promtool: str, folder: Path, case: Case, *, fires: bool) -> subprocess.CompletedProcess[str]:
    """promtool's verdict on whether the alert is firing at the minute for the case's series (or its neighbours)."""
    name, engine, minute, firing, quiet = case
    spec = rules(engine)
    (rule,) = [rule for rule in spec["groups"][0]["rules"] if rule["alert"] == name]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [bare(rule)]}]}))
    own = {f"{series.replace(LABELS, 'x=' + chr(34) + 'y' + chr(34))}": values for series, values in firing.items()}
    series = firing if fires else {**quiet, **own}  # another release's load must not count either
    labels = [{"exp_labels": {"severity": rule["labels"]["severity"], "release": "mistral", "namespace": "llm"}}]
    if name in {"LlmEngineDown", "LlmStartOverBudget"}:
        labels[0]["exp_labels"] |= {"app_kubernetes_io_instance": "mistral", "pod": "mistral-0"}
    elif name == "LlmKvCacheFull":
        labels[0]["exp_labels"] |= {"pod": "mistral-0"}
    elif name == "LlmEngineAbsent":
        labels[0]["exp_labels"] |= {"app_kubernetes_io_instance": "mistral"}
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": key, "values": values} for key, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": labels if fires else []}
                ],
            }
        ],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    return subprocess.run(
        [promtool, "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )


def bare(rule: dict[str, Any]) -> dict[str, Any]:
    """Without annotations, whose text holds measured values."""
    return {key: value for key, value in rule.items() if key != "annotations"}


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "quiet"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2]}")
def test_an_alert(promtool: str, tmp_path: Path, case: Case, fires: bool) -> None:
    done = judged(promtool, tmp_path, case, fires=fires)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    for engine in ENGINES:
        tested = {case[0] for case in CASES if case[1] == engine or case[1] == "vllm"}
        assert {rule["alert"] for rule in rules(engine)["groups"][0]["rules"]} <= tested


@pytest.mark.parametrize("engine", ENGINES)
def test_promtool_reads_the_rules_and_their_texts(promtool: str, tmp_path: Path, engine: str) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules(engine)))
    done = subprocess.run(
        [promtool, "check", "rules", "rules.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(rules(engine)['groups'][0]['rules'])} rules found" in done.stdout
