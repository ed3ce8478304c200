"""Values -> YAML text with comments, checked by reading it back; and files that are whole or not there."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from llm_serving_planner.base.documents import parse_documents, plain
from llm_serving_planner.output.explain import explain
from llm_serving_planner.output.values import build_values
from llm_serving_planner.planner.plan import Plan

if TYPE_CHECKING:
    import jinja2


class _Dumper(yaml.SafeDumper):
    """Quotes every text that Helm would not read as one."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = None if plain(value) == value and value != "<<" else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(value: Any) -> str:
    """One scalar or a flow collection as YAML that Helm reads back equal (1.1 booleans, y and 1e3 are quoted)."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n").rstrip("\n")


def render_values(plan: Plan) -> str:
    """The values file of a plan. Same plan, same bytes.

    Raises:
        AssertionError: the text does not read back as the dict that went in (a bug, never bad input).
    """
    values = build_values(plan)
    text = _template().render(v=values, why=explain(plan), plan=plan)
    (back,) = parse_documents(text, "values")
    if back != values:
        raise AssertionError(f"values do not survive YAML: {_difference(values, back)}")
    return text


@cache
def _template() -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, and every scalar goes through to_yaml
    )
    environment.filters["to_yaml"] = to_yaml
    return environment.from_string(
        files("llm_serving_planner").joinpath("output", "templates", "values.yaml.j2").read_text(encoding="utf-8")
    )


def _difference(expected: Any, got: Any, path: str = "") -> str:
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in expected.keys() | got.keys():
            if expected.get(key) != got.get(key):
                return _difference(expected.get(key), got.get(key), f"{path}/{key}")
    return f"{path}: {expected!r} became {got!r}"
