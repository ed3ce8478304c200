"""Write everything that is generated and committed, or check that it is current.

python tools/generate.py [--check]
"""

import argparse
import subprocess
import sys
from pathlib import Path

import schema_files
from accuracy import accuracy_page
from advice_page import advice_page
from architectures_page import architectures_page
from dashboard import dashboards
from documents.architecture_page import architecture_page
from documents.cli_page import cli_page
from documents.inject import injected_pages
from llm_serving_planner.base.files import write_text
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models.resolve import resolve
from llm_serving_planner.output.committed import load_catalog
from llm_serving_planner.output.render import render_values
from llm_serving_planner.planner.service import make_plan
from performance_page import performance_page, performance_svg
from publishing import metadata
from quantization_page import quantization_page
from supervisor_files import supervisor_files

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


def main() -> int:
    """Write or check; 1 when something is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    values = values_files()
    pages = {
        ROOT / "docs" / "accuracy.md": accuracy_page(),
        ROOT / "docs" / "advice.md": advice_page(),
        ROOT / "docs" / "architectures.md": architectures_page(),
        ROOT / "docs" / "architecture.md": architecture_page(ROOT),
        ROOT / "docs" / "cli.md": cli_page(),
        ROOT / "docs" / "performance.md": performance_page(),
        ROOT / "docs" / "performance.svg": performance_svg(),
        ROOT / "docs" / "quantization.md": quantization_page(),
        ROOT / "charts" / "llm-serving" / "Chart.yaml": metadata.chart_yaml(ROOT),
    }
    expected = {**schema_files.generated_files(ROOT), **values, **pages, **dashboards(), **supervisor_files(ROOT)}
    expected |= injected_pages(ROOT, expected)
    stale = [path for path, text in expected.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check:
        for path in stale:
            print(f"stale: {path.relative_to(ROOT)} (run: make generate)", file=sys.stderr)
        for path in stray_values(values):
            print(f"not in values/catalog.yaml: {path.relative_to(ROOT)}", file=sys.stderr)
        return 1 if stale or stray_values(values) else 0
    for path in stale:
        write_text(path, expected[path])
        print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
