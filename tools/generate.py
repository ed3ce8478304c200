"""Write everything that is generated and committed, or check that it is current.

python tools/generate.py [--check]
"""

import argparse
import subprocess
import sys
from pathlib import Path

from derived import schema_files
from derived.chart_data import chart_data
from derived.chart_facts import chart_facts
from derived.dashboard import dashboards
from derived.supervisor_files import supervisor_files
from documents.accuracy import accuracy_page
from documents.advice_page import advice_page
from documents.architecture_page import architecture_page
from documents.architectures_page import architectures_page
from documents.cli_page import cli_page
from documents.inject import injected_pages
from documents.performance_page import performance_page, performance_svg
from documents.quantization_page import quantization_page
from llm_serving_planner.base.writing import write_text
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models.resolve import resolve
from llm_serving_planner.output.committed import load_catalog
from llm_serving_planner.output.render import render_values
from llm_serving_planner.planner.proposals import make_plan
from publishing import metadata

ROOT = Path(__file__).parent.parent


def values_files() -> dict[Path, str]:
    """One values file per entry of the catalog, from the embedded facts alone: the same on every machine."""
    found = {}
    for entry in load_catalog(ROOT / "values" / "catalog.yaml"):
        plan = make_plan(resolve(entry.model, offline=True), parse_profile(entry.profile), entry.options)
        found[ROOT / "values" / f"{plan.file_stem}.yaml"] = render_values(plan)
    return found


def stray_values(expected: dict[Path, str]) -> list[Path]:
    """Committed values files that no entry of the catalog makes; a user's own, uncommitted ones are let be."""
    listed = subprocess.run(["git", "ls-files", "values"], cwd=ROOT, capture_output=True, text=True, check=False)
    kept = {*expected, ROOT / "values" / "catalog.yaml"}
    return [ROOT / name for name in listed.stdout.splitlines() if ROOT / name not in kept]


def stale(expected: dict[Path, str]) -> list[Path]:
    """Files that are not what their source gives."""
    return [path for path, text in expected.items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def write(expected: dict[Path, str]) -> None:
    """Write what is stale, and say so."""
    for path in stale(expected):
        write_text(path, expected[path])
        print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)


def main() -> int:
    """Write or check; 1 when something is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    chart = {**schema_files.generated_files(ROOT), **dashboards(), **supervisor_files(ROOT), **chart_data(ROOT)}
    if not check:
        write(chart)  # the chart's facts below are read from the chart as it renders
    values = values_files()
    docs, data = ROOT / "docs", ROOT / "generator" / "llm_serving_planner" / "data"
    pages = {
        data / "chart_facts.json": chart_facts(ROOT),
        docs / "accuracy.md": accuracy_page(),
        docs / "advice.md": advice_page(),
        docs / "architectures.md": architectures_page(),
        docs / "architecture.md": architecture_page(ROOT),
        docs / "cli.md": cli_page(),
        docs / "performance.md": performance_page(),
        docs / "performance.svg": performance_svg(),
        docs / "quantization.md": quantization_page(),
        ROOT / "charts" / "llm-serving" / "Chart.yaml": metadata.chart_yaml(ROOT),
    }
    expected = {**chart, **values, **pages}
    expected |= injected_pages(ROOT, expected)
    if not check:
        write(expected)
        return 0
    old, stray = stale(expected), stray_values(values)
    for path in old:
        print(f"stale: {path.relative_to(ROOT)} (run: make generate)", file=sys.stderr)
    for path in stray:
        print(f"not in values/catalog.yaml: {path.relative_to(ROOT)}", file=sys.stderr)
    return 1 if old or stray else 0


if __name__ == "__main__":
    raise SystemExit(main())
