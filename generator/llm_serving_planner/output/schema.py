"""The values schema: read, turned into what Helm and readers need, and applied to documents."""

from functools import cache

from llm_serving_planner.base.errors import SchemaError
from llm_serving_planner.base.tables import Json, load_data
from llm_serving_planner.base.validation import validate_with
from llm_serving_planner.output import chart, idioms, removed


@cache
def load_schema() -> Json:
    """The schema as Helm sees it, from the package's own copy."""
    schema: Json = load_data("values.schema.json")
    return schema


def validate(values: Json, where: str) -> None:
    """Check a values document as Helm does: laid over the chart's defaults, where null takes a default away.

    Raises:
        SchemaError: all problems, each with its path and the way out.
    """
    gone = [*removed.problems(values, removed.load()), *idioms.problems(values)]
    if gone:
        raise SchemaError(where, gone)
    validate_with(load_schema(), _laid_over(values, chart.facts()["defaults"]), where)


def _laid_over(values: Json, defaults: Json) -> Json:
    """What the chart gets of a document (helm.sh/helm/v4 pkg/chart/common/util/coalesce.go, 4.2.3)."""
    found = dict(defaults)
    for key, value in values.items():
        if value is None and key in defaults:
            del found[key]
        elif isinstance(value, dict) and isinstance(defaults.get(key), dict):
            found[key] = _laid_over(value, defaults[key])
        else:
            found[key] = value
    return found
