"""Checks with which vLLM ends a start because two settings contradict each other: data/start_rules.json.

Where a setting is left away vLLM often repairs its default; a flag that is given is taken as it is, and the start ends.
Planner and `validate` ask here with what they know. What is not known is left out and breaks no rule.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.engines import versions

Facts = Mapping[str, Any]
_NAME = re.compile(r"\{([^}]+)\}")


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """All of them, as in the data."""
    return tuple(tables.load_data("start_rules.json")["rules"])


def broken(version: str, facts: Facts, environment: Mapping[str, Any] | None = None) -> list[str]:
    """What ends the start of that version, with the remedy.

    Args:
        version: of vLLM.
        facts: flags without dashes to their values, and `model.` facts; those that are not known are absent or None.
        environment: variables of the engine; some switch a check off.
    """
    found = []
    for rule in rules():
        if not versions.not_after(rule["from"], version) or rule.get("unless_env") in (environment or {}):
            continue
        if all(_holds(condition, facts) for condition in rule["when"]):
            found.append(f"{_filled(rule['found'], facts)}: {_filled(rule['remedy'], facts)}")
    return found


def _filled(text: str, facts: Facts) -> str:
    return _NAME.sub(lambda name: str(facts.get(name[1])), text)


def _holds(condition: list[Any], facts: Facts) -> bool:
    """Whether a condition is known to be met: [operator, flag] or [operator, flag, flag or constant]."""
    kind, left = condition[0], facts.get(condition[1])
    if left is None:
        return False
    if kind in {"set", "true", "false"}:
        return {"set": True, "true": left is True, "false": left is False}[kind]
    right = condition[2]
    if kind == "in":
        return left in right
    if kind == "is":
        return bool(left == right)
    right = facts.get(right, right if right in _CONSTANTS else None) if isinstance(right, str) else right
    if right is None:
        return False
    if kind == "differ":
        return bool(left != right)
    if not (_number(left) and _number(right)):
        return False
    return bool(
        {"lt": left < right, "le": left <= right, "gt": left > right, "indivisible": bool(right and left % right)}[kind]
    )


_CONSTANTS = frozenset({"float16"})


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
