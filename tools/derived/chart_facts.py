"""What the Python package knows of the chart: the defaults of its values, and what a null puts in their place."""

import json
from pathlib import Path

from llm_serving_planner.base.documents import load_values

_MARK = "GENERATED from charts/llm-serving/values.yaml by `make generate`"


def chart_facts(root: Path) -> str:
    """Text of data/chart_facts.json."""
    folder = root / "charts" / "llm-serving"
    facts = {
        "_comment": _MARK,
        "defaults": load_values(folder / "values.yaml"),
        "empty": json.loads((folder / "files" / "values.json").read_text(encoding="utf-8"))["empty"],
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
