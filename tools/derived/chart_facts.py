"""What the Python package knows of the chart: the defaults of its values."""

import json
from pathlib import Path

from llm_serving_planner.base.documents import load_values

_MARK = "GENERATED from charts/llm-serving/values.yaml by `make generate`"


def chart_facts(root: Path) -> str:
    """Text of data/chart_facts.json."""
    defaults = load_values(root / "charts" / "llm-serving" / "values.yaml")
    return json.dumps({"_comment": _MARK, "defaults": defaults}, indent=1, ensure_ascii=False) + "\n"
