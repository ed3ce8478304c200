"""Which parsers of tool calls and reasoning a model's answers need: data/parsers.json, by name and class."""

import re
from functools import cache, lru_cache
from itertools import takewhile
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.records import record
from llm_serving_planner.engines import features
from llm_serving_planner.models.spec import ModelSpec


@record
class Family:
    """Models whose answers are read alike; an empty parser means that none of that kind is known for them."""

    family: str
    tool: str = ""
    reasoning: str = ""
    template: str = ""
    note: str = ""


@cache
def _data() -> dict[str, Any]:
    return tables.load_data("parsers.json")


def _family(entry: dict[str, Any]) -> Family:
    fields = ("family", "tool", "reasoning", "template", "note")
    return Family(**{name: str(entry[name]) for name in fields if name in entry})


def family_of(spec: ModelSpec) -> Family | None:
    """The first family that the model's name belongs to, else the first that its class belongs to."""
    return _family_of(spec.short_name.lower(), spec.architecture)


@lru_cache(maxsize=1024)
def _family_of(name: str, architecture: str) -> Family | None:
    for entry in _data()["families"]:
        letters = "".join(takewhile(str.isalpha, entry["names"]))  # compiling a pattern takes longer than a plan's rest
        if letters in name and re.search(entry["names"], name):
            return _family(entry)
    for entry in _data()["families"]:
        if architecture in entry.get("architectures", ()):
            return _family(entry)
    return None


def template_path(template: str) -> str:
    """A template of the engine's examples as a path in its image; other paths as they are."""
    return template if template.startswith("/") else f"{_data()['templates_folder']}/{template}"


def check(version: str, what: str, name: str) -> None:
    """Refuse a parser that the version does not have.

    Raises:
        InputError: with the names that are near, or all of them.
    """
    if features.serves(version, f"{what}_parsers", name):
        return
    known = features.names(version, f"{what}_parsers")
    import difflib

    near = difflib.get_close_matches(name[:100], known, n=3, cutoff=0.5)
    flag = "--tool-call-parser" if what == "tool" else "--reasoning-parser"
    listed = ", ".join(near or known)
    raise InputError(
        f"{flag} {name}: vLLM {features.known(version)[0]} has no such parser",
        hint=f"{'near are' if near else 'it has'} {listed}",
    )


def choose(
    spec: ModelSpec, version: str, *, tools: bool, tool: str | None, reasoning: str | None
) -> tuple[str, str, str, list[str]]:
    """(tool parser, reasoning parser, chat template, notes); named ones are taken as they are.

    Raises:
        InputError: tools are asked for and the family is not known, or a parser is not there.
    """
    family = family_of(spec)
    notes = []
    if tools and tool is None and (family is None or not family.tool):
        known = "its family is in no list" if family is None else family.note or f"{family.family} has no parser"
        raise InputError(
            f"--tool-calling: no tool parser is known for {spec.model_id}: {known}",
            hint="name one: --tool-call-parser NAME, with --chat-template where the model's own takes no tools",
        )
    template = ""
    if tools and tool is None and family is not None:
        tool, template = family.tool, family.template
        notes.append(f"tool calls are read as those of {family.family} ({family.tool})")
        notes += [family.note] if family.note else []
        reasoning = reasoning or family.reasoning or None
    for what, name in (("tool", tool), ("reasoning", reasoning)):
        if name:
            check(version, what, name)
    if (tool or reasoning) and not features.was_read(version):
        notes.append(f"names of parsers were read from vLLM {features.known(version)[0]}, not from {version}")
    return tool or "", reasoning or "", template_path(template) if template else "", notes


def offer(spec: ModelSpec) -> str:
    """What `--tool-calling` would switch on, in words; empty where the family is not known."""
    family = family_of(spec)
    if family is None or not (family.tool or family.reasoning):
        return ""
    parts = [f"tool parser {family.tool}"] if family.tool else []
    parts += [f"reasoning parser {family.reasoning}"] if family.reasoning else []
    way = "--tool-calling writes" if family.tool else f"--reasoning-parser {family.reasoning} gives"
    return f"off; {way} {' and '.join(parts)} ({family.family})"
