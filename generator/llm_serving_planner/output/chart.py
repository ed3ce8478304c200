"""Facts of the chart that the values are for: its defaults and the names, helpers and ports of what it renders.

All of them come from data/chart_facts.json, which `make generate` writes from the rendered chart.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from llm_serving_planner.base.tables import load_data
from llm_serving_planner.base.units import quantity

Values = dict[str, Any]
Condition = dict[str, Any]
"""{"key": dotted path} with "is" (that value), "above" (a larger number) or "set" (not empty)."""
_DIGEST = "[0-9a-f]{5}"


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
    return _pick(values, path, facts()["defaults"], facts()["empty"])


def _pick(values: Values, path: str, defaults: Values, empty: Values) -> Any:
    given: Any = values
    default: Any = defaults
    nothing: Any = empty
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


def holds(condition: Condition, values: Values, defaults: Values) -> bool:
    """Whether a document, laid over the chart's defaults, meets a condition of the facts."""
    found = _pick(values, condition["key"], defaults, defaults)
    if "is" in condition:
        return bool(found == condition["is"])
    return bool(found > condition["above"]) if "above" in condition else bool(found)


def full_name(values: Values, release: str) -> str:
    """Name of the release's objects without their suffix: llm-serving.fullname of a chart that is no subchart."""
    lengths, chart = facts()["names"], facts()["chart"]
    part = _cut(pick(values, "nameOverride") or chart, lengths["part"])
    name = release if part in release else f"{release}-{part}"
    return _cut((pick(values, "fullnameOverride") or name).replace(".", "-"), lengths["full"])


def _cut(name: str, most: int) -> str:
    """llm-serving.cut: a name that is cut ends with a digest of the whole."""
    if len(name) > most:
        digest = hashlib.sha256(name.encode()).hexdigest()[: facts()["names"]["digest"]]
        name = f"{name[: most - len(digest) - 1].strip('-.')}-{digest}"
    return name.strip("-.")


def group_name(full: str) -> str:
    """Name of the controllers of several pods: a long one is cut and told apart by its digest."""
    lengths = facts()["names"]
    if len(full) <= lengths["group"]:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[: lengths["groupDigest"]]
    return f"{full[: lengths['groupKept']].strip('-')}-{digest}"


def api(kind: str) -> str:
    """Group and version in which the chart renders a kind."""
    return str(next(entry["api"] for entry in facts()["objects"] if entry["kind"] == kind))


@dataclass(frozen=True, slots=True)
class Resources:
    """Requests and limits of a helper container: CPU in cores, the rest in bytes."""

    requests: dict[str, float]
    limits: dict[str, float]


_RESOURCES = {"pull": "prePull.resources", "test": "test.resources"}  # all others download


def helper(container: str, values: Values) -> Resources:
    """What the chart lets a helper container ask for, some of it by keys of the values.

    Args:
        container: its name in the chart: fetch-model, wait-model, download (TGIS's), pull or test.
        values: the document.
    """

    def amounts(kind: str) -> dict[str, float]:
        entry = facts()["containers"][container][kind]
        own = {
            name: quantity_at(values, found["key"]) if isinstance(found, dict) else quantity(found)
            for name, found in entry.items()
        }
        given = pick(values, _RESOURCES.get(container, "model.download.resources")).get(kind, {})
        return own | {name: quantity(found) for name, found in given.items()}

    return Resources(amounts("requests"), amounts("limits"))


@dataclass(frozen=True, slots=True)
class Made:
    """Objects that a release has: their kind and API, the form of their name, and whether a hook may make them.

    Helm notes on every object but those of hooks to which release it belongs.
    """

    kind: str
    api: str
    name: re.Pattern[str]
    hook: bool


def made(values: Values, release: str) -> list[Made]:
    """Every object that the chart makes of a document; the user's own `extraObjects` are not among them."""
    full, defaults = full_name(values, release), facts()["defaults"]
    known = {"full": full, "group": group_name(full)}
    replicas = "|".join(str(number) for number in range(int(pick(values, "replicas"))))
    found = []
    for entry in facts()["objects"]:
        if _any_of(entry["when"], values, defaults) and not _any_of(entry["unless"], values, defaults):
            words = re.sub(r"\{([^}]+)\}", lambda key: str(known.get(key[1]) or pick(values, key[1])), entry["name"])
            name = re.escape(words).replace(r"\*", _DIGEST).replace(r"\#", f"({replicas})")
            found.append(Made(entry["kind"], entry["api"], re.compile(name), bool(entry["hook"])))
    return found


def _any_of(alternatives: list[list[Condition]], values: Values, defaults: Values) -> bool:
    return any(all(holds(one, values, defaults) for one in conditions) for conditions in alternatives)
