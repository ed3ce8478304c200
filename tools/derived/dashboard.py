"""Grafana dashboards from a short description: one panel is a title, a unit and its queries.

Names between @ are filled in by the chart: those of schema/metrics.yaml, @series@ (the release's labels), @namespace@,
@pods@ (beginning of the pods' names), @uid@ and @title@. A panel whose metric an engine lacks is left out.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent.parent.parent / "charts" / "llm-serving"
WIDTH, HEIGHT, COLUMNS = 12, 8, 2
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
Query = tuple[str, str]
Panel = tuple[str, str, tuple[Query, ...]]


def percentiles(role: str) -> tuple[Query, ...]:
    """Median and 95th percentile of a histogram."""
    return tuple(
        (f"histogram_quantile({share}, sum by (le) (rate(@{role}@@series@[$__rate_interval])))", name)
        for share, name in ((0.5, "median"), (0.95, "95 %"))
    )


def rate(role: str) -> str:
    """Sum of a counter's rate."""
    return f"sum(rate(@{role}@@series@[$__rate_interval]))"


def gpu(metric: str) -> tuple[Query, ...]:
    """A gauge of dcgm-exporter for the pods' GPUs, whether its labels were renamed by the scrape or not."""
    names = (("namespace", "pod"), ("exported_namespace", "exported_pod"))
    found = [f'{metric}{{{space}="@namespace@",{pod}=~"@pods@.*"}}' for space, pod in names]
    return ((" or ".join(found), "GPU {{gpu}} of {{Hostname}}"),)


PANELS: tuple[Panel, ...] = (
    ("Engines that answer", "short", (("sum(up@series@)", "answer"), ("count(up@series@)", "scraped"))),
    ("Requests", "short", (("sum(@running@@series@)", "running"), ("sum(@queue@@series@)", "waiting"))),
    ("Time to the first token", "s", percentiles("firstToken")),
    ("Time between tokens", "s", percentiles("interToken")),
    ("Time of a whole request", "s", percentiles("duration")),
    ("Time in the queue", "s", percentiles("queueTime")),
    ("KV cache in use", "percentunit", (("@kvCache@@series@", "{{pod}} {{engine}}"),)),
    ("Prefix cache hits", "percentunit", ((f"{rate('prefixHits')} / {rate('prefixQueries')}", "hits"),)),
    ("Tokens per second", "short", ((rate("promptTokens"), "prompt"), (rate("generatedTokens"), "generated"))),
    ("Preemptions per second", "short", ((rate("preemptions"), "preemptions"),)),
    ("Requests per second", "reqps", ((rate("requests"), "requests"),)),
    ("Failed requests per second", "reqps", ((rate("failures"), "failures"),)),
)
GPU_PANELS: tuple[Panel, ...] = (
    ("GPU utilisation", "percent", gpu("DCGM_FI_DEV_GPU_UTIL")),
    ("GPU memory in use (MiB)", "decmbytes", gpu("DCGM_FI_DEV_FB_USED")),
    ("GPU power", "watt", gpu("DCGM_FI_DEV_POWER_USAGE")),
    ("GPU temperature", "celsius", gpu("DCGM_FI_DEV_GPU_TEMP")),
)
ALWAYS = {"series", "namespace", "pods"}


def possible(panel: Panel, roles: set[str]) -> bool:
    """Whether the engine has every metric of the panel."""
    return all(set(re.findall(r"@(\w+)@", query)) <= roles | ALWAYS for query, _ in panel[2])


def panel_json(number: int, panel: Panel) -> dict[str, Any]:
    """A time series at its place in a grid of two columns."""
    title, unit, queries = panel
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": number % COLUMNS * WIDTH, "y": number // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(queries)
        ],
    }


def dashboard(roles: set[str], *, dcgm: bool) -> str:
    """The whole dashboard of an engine with these metrics."""
    panels = [panel for panel in PANELS if possible(panel, roles)] + list(GPU_PANELS if dcgm else ())
    text = {
        "uid": "@uid@",
        "title": "@title@",
        "tags": ["llm-serving"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": [panel_json(number, panel) for number, panel in enumerate(panels)],
    }
    return json.dumps(text, indent=1) + "\n"


def dashboards() -> dict[Path, str]:
    """Every file, by path."""
    engines = yaml.safe_load((CHART.parent.parent / "schema" / "metrics.yaml").read_text(encoding="utf-8"))
    return {
        CHART / "files" / f"dashboard-{engine}{'-dcgm' if dcgm else ''}.json": dashboard(set(roles), dcgm=dcgm)
        for engine, roles in engines.items()
        for dcgm in (False, True)
    }
