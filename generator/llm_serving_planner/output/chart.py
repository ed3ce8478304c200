"""Values of a document as the chart takes them: what it leaves out has the chart's default.

The defaults come from data/chart_facts.json, which `make generate` writes from the chart's values.yaml.
"""

from functools import cache
from typing import Any

from llm_serving_planner.base.tables import load_data
from llm_serving_planner.base.units import quantity

Values = dict[str, Any]


@cache
def facts() -> dict[str, Any]:
    """data/chart_facts.json."""
    return load_data("chart_facts.json")


def pick(values: Values, path: str) -> Any:
    """The value at a dotted path; the chart's default where the document does not give it.

    Where it gives null, which takes a default away, what the chart puts in its place: nothing of its kind, or the
    default of a number or a choice.

    Raises:
        KeyError: the chart has no such key.
    """
    given: Any = values
    default: Any = facts()["defaults"]
    nothing: Any = facts()["empty"]
    for part in path.split("."):
        default, nothing = default[part], nothing[part]
        there = isinstance(given, dict) and part in given
        given = given[part] if there else None
        if there and given is None:
            default = nothing
    return default if given is None else given


def quantity_at(values: Values, path: str) -> float:
    """The quantity at a dotted path, as `quantity` gives it; 0 where the key is empty.

    Raises:
        InputError: no quantity.
    """
    found = pick(values, path)
    return 0.0 if found == "" else quantity(found)
