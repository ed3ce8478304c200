"""files/engines.json of the chart: what the templates know of each engine, from two files of schema/."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
_MARK = "GENERATED from schema/engines.yaml and schema/metrics.yaml by `make generate`"


class ChartDataError(Exception):
    """schema/engines.yaml or schema/metrics.yaml contradicts what the engines themselves say."""


def by_name(keys: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Names under their key, turned round: {key: [name, ...]} to {name: key}.

    Raises:
        ChartDataError: a name that stands under two keys.
    """
    found: dict[str, str] = {}
    for key, names in keys.items():
        for name in names:
            if name in found:
                raise ChartDataError(f"{name} stands under {found[name]} and {key}")
            found[name] = key
    return dict(sorted(found.items()))


def engine(name: str, facts: Json, known: Iterable[str]) -> Json:
    """One engine's entry of the chart's file.

    Args:
        name: type of the engine.
        facts: its entry in schema/engines.yaml.
        known: flags that its argument parser lists, without dashes.

    Raises:
        ChartDataError: a reserved flag that the engine does not have, or one that is called unlisted and is listed.
    """
    reserved = by_name(facts["reservedFlags"])
    listed, unlisted = set(known), set(facts.get("unlisted", ()))
    if strays := set(reserved) - listed - unlisted:
        raise ChartDataError(f"{name} has no flag {', '.join(sorted(strays))}")
    if wrong := (unlisted & listed) | (unlisted - set(reserved)):
        raise ChartDataError(f"{name}: {', '.join(sorted(wrong))} must not be called unlisted")
    kept = ("command", "python", "apiKeyVariable", "ports")
    return {key: facts[key] for key in kept} | {"reservedFlags": reserved}


def first_versions(wanted: Iterable[str], flags: Json) -> dict[str, str]:
    """The first version of vLLM that has each flag, as `major.minor.patch`.

    Raises:
        ChartDataError: a flag that vLLM lacks, or that every version has, so that there is nothing to ask.
    """
    found = {}
    for name in sorted(wanted):
        version = flags.get(name, {}).get("from")
        if version is None:
            raise ChartDataError(f"vLLM has no first version of --{name}")
        found[name] = version.partition(".post")[0]
    return found


def _order(version: str) -> tuple[int, ...]:
    """A version for comparisons, as the templates take it: what is no number of its own comes before all."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0, 0, 0)


def exported(facts: Json, version: str) -> set[str]:
    """Names of a version's series that a query may use: of histograms, their buckets."""
    known: Json = facts["versions"][version] | facts.get("also", {})
    return {f"{name}_bucket" if kind == "histogram" else name for name, kind in known.items()}


def metrics(name: str, roles: Json, facts: Json) -> Json:
    """One engine's metrics: for each role its names, each with the version that it begins with, oldest first.

    Args:
        name: type of the engine.
        roles: its entry in schema/metrics.yaml.
        facts: its entry in the generator's metrics.json.

    Raises:
        ChartDataError: a name that its version does not export, or names out of order.
    """
    for role, names in roles.items():
        begins = [_order(entry["from"]) for entry in names]
        if begins != sorted(begins) or begins[0] != (0, 0, 0):
            raise ChartDataError(f"{name}: the names of {role} must begin with 0.0.0 and go up")
        for version in facts["versions"]:
            chosen = [entry["name"] for entry in names if _order(entry["from"]) <= _order(version)][-1]
            if chosen not in exported(facts, version):
                raise ChartDataError(f"{name} {version} has no metric {chosen} ({role})")
    return roles


def engines_json(root: Path) -> str:
    """The text of files/engines.json.

    Raises:
        ChartDataError: as above.
    """
    source, roles = (
        yaml.safe_load((root / "schema" / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("engines", "metrics")
    )
    data = root / "generator" / "llm_serving_planner" / "data"
    vllm, launchers, series = (
        json.loads((data / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("vllm_flags", "launcher_flags", "metrics")
    )
    flags = {name: (vllm if name == "vllm" else launchers[name])["flags"] for name in source["engines"]}
    made = {
        "_generated": _MARK,
        "engines": {
            name: engine(name, facts, flags[name]) | {"metrics": metrics(name, roles[name], series[name])}
            for name, facts in source["engines"].items()
        },
        "since": first_versions(source["since"], vllm["flags"]),
        "reservedEnv": by_name(source["reservedEnv"]["names"]),
    }
    return json.dumps(made, indent=2) + "\n"


def secrets_json(root: Path) -> str:
    """What must not stand in values as text, as regular expressions: schema/secrets.yaml without its sources."""
    found = yaml.safe_load((root / "schema" / "secrets.yaml").read_text(encoding="utf-8"))["secrets"]
    kept = {name: text for name, text in found.items() if name not in {"source", "date"}}
    return json.dumps({"_comment": "GENERATED from schema/secrets.yaml by `make generate`", **kept}, indent=1) + "\n"


def chart_data(root: Path) -> dict[Path, str]:
    """Every data file that the chart reads and that is made here, as path and text; the planner has one of them too."""
    files = root / "charts" / "llm-serving" / "files"
    secrets = secrets_json(root)
    return {
        files / "engines.json": engines_json(root),
        files / "secrets.json": secrets,
        root / "generator" / "llm_serving_planner" / "data" / "secrets.json": secrets,
    }
