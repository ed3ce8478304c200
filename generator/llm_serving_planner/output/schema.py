"""The values schema: read, turned into what Helm and readers need, and applied to documents."""

from functools import cache

from llm_serving_planner.base.errors import SchemaError
from llm_serving_planner.base.tables import Json, load_data
from llm_serving_planner.base.validation import validate_with
from llm_serving_planner.output import idioms, removed
from llm_serving_planner.output.chart import facts


@cache
def load_schema() -> Json:
    """The schema as Helm sees it, from the package's own copy."""
    schema: Json = load_data("values.schema.json")
    return schema


def validate(values: Json, where: str) -> None:
    """Check a values document.

    A null in place of a default takes it away, as Helm does it, and so is none of the document's values.

    Raises:
        SchemaError: all problems, each with its path and the way out.
    """
    gone = [*removed.problems(values, removed.load()), *idioms.problems(values)]
    if gone:
        raise SchemaError(where, gone)
    validate_with(load_schema(), _without_nulls(values, facts()["defaults"]), where)


def _without_nulls(values: Json, defaults: Json) -> Json:
    found = {}
    for key, value in values.items():
        if value is None and key in defaults:
            continue
        both = isinstance(value, dict) and isinstance(defaults.get(key), dict)
        found[key] = _without_nulls(value, defaults[key]) if both else value
    return found
