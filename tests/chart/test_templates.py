"""Guards over the templates: few partials, short chains of includes, nothing dead, one dict of facts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.templates import FILES, PARTIALS, Template, defines, longest_chain, of_users, rendered, without_comments
from support.helm import CHART, Manifest, Renderer, find, merge

MOST_PARTIALS = 26
LONGEST_PARTIAL = 250
LONGEST_TEMPLATE = 150
LONGEST_LINE = 160
DEEPEST_NESTING = 2
DEEPEST_INCLUDE = 6
WORDS = {"true", "false", "yes", "no", "0", "1"}
FACTS = CHART / "templates" / "_facts.tpl"
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "bool": bool, "int": int, "list": list, "map": dict,
}  # fmt: skip


def documented() -> dict[str, str]:
    """Fields of the dict with their types, from the comment that begins _facts.tpl."""
    comment = FACTS.read_text().partition("*/")[0]
    rows = re.findall(r"^(\w+) +(\w+) +\S", comment, re.MULTILINE)
    return {name: kind for name, kind in rows if kind in TYPES}


def test_partials_are_few() -> None:
    assert len(PARTIALS) <= MOST_PARTIALS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_templates_stay_readable(path: Path) -> None:
    lines = path.read_text().splitlines()
    table = len(FACTS.read_text().partition("*/")[0].splitlines()) if path == FACTS else 0  # of the fields, for look-up
    assert len(lines) - table <= (LONGEST_PARTIAL if path in PARTIALS else LONGEST_TEMPLATE)
    for number, line in enumerate(lines, 1):
        # a message is one text, and a text has one line
        rest = re.sub(r'"(?:[^"\\]|\\.){60,}"', '""', line)
        assert len(rest) <= LONGEST_LINE or path.name in {"_notes.tpl", "NOTES.txt"}, f"line {number} is too long"
    opened: list[str] = []
    for action in re.findall(r"\{\{-?\s*(if|with|range|block|define|end)\b", without_comments(path.read_text())):
        if action == "end":
            opened.pop()
            continue
        opened.append(action)
        assert sum(word != "define" for word in opened) <= DEEPEST_NESTING, opened
    assert not opened


@pytest.mark.parametrize("template", rendered(), ids=lambda template: template.name)
def test_chains_of_includes_are_short(template: Template) -> None:
    """A reader who follows a template to the bottom opens that many defines at most; a circle has no bottom."""
    for name in template.includes:
        chain = longest_chain(name)
        assert len(chain) <= DEEPEST_INCLUDE, " -> ".join((template.name, *chain))


def test_the_measure_finds_chains_and_circles() -> None:
    """The check itself is seen to fail."""
    known = dict(defines())
    path = CHART / "templates" / "_names.tpl"
    try:
        for number in range(DEEPEST_INCLUDE + 1):
            text = f'{{{{ include (printf "llm-serving.%s" "x") . }}}}{{{{ include "made.{number + 1}" . }}}}'
            defines()[f"made.{number}"] = Template(f"made.{number}", text, path)
        defines()[f"made.{DEEPEST_INCLUDE + 1}"] = Template("made.last", "", path)
        assert len(longest_chain("made.0")) > DEEPEST_INCLUDE
        defines()["made.round"] = Template("made.round", '{{ include "made.round" . }}', path)
        with pytest.raises(RecursionError):
            longest_chain("made.round")
    finally:
        defines().clear()
        defines().update(known)
        longest_chain.cache_clear()


def test_every_define_is_included() -> None:
    used = {name for template in rendered() for name in template.includes} | of_users()
    reached: set[str] = set()
    while used:
        name = used.pop()
        reached.add(name)
        used |= defines()[name].includes - reached
    assert set(defines()) == reached


def is_a_word(text: str) -> bool:
    """Whether all that a template prints is a word that stands for yes or no."""
    printed = set(re.sub(r"\{\{.*?\}\}", " ", text, flags=re.DOTALL).split())
    return bool(printed) and printed <= WORDS


def test_words_are_noticed() -> None:
    """The check itself is seen to fail."""
    assert is_a_word("{{- if .x }}true{{ end -}}")
    assert is_a_word("{{- if .x }}1{{ else }}0{{ end -}}")
    assert not is_a_word("{{- if .x }}name: true{{ end -}}")
    assert not is_a_word("{{- .x | toJson -}}")


def test_predicates_are_booleans() -> None:
    """A question has its answer in .Facts or is an expression: no template prints a word that stands for yes."""
    for name, template in defines().items():
        assert not is_a_word(template.text), f"{name} prints a word"
    for template in (*defines().values(), *rendered()):
        asked = re.findall(r"\{\{-? *(?:else +)?if\b[^}]*\binclude\b|\b(?:and|or|not)\b \(include\b", template.text)
        assert not asked, f"{template.name} asks {asked}"


def test_every_template_begins_with_the_facts() -> None:
    for template in rendered():
        assert template.text.startswith('{{- include "llm-serving.facts" . }}\n'), template.name


def test_the_facts_are_documented_and_used() -> None:
    fields = documented()
    own = without_comments(FACTS.read_text())
    assert set(re.findall(r'set \$f "(\w+)"', own)) == set(fields)
    rest = "".join(without_comments(path.read_text()) for path in FILES if path != FACTS)
    used = set(re.findall(r"(?:Facts|\$f)\.(\w+)", rest))
    assert used | set(re.findall(r"\$f\.(\w+)", own)) == set(fields), "a field that nobody sets reads as nothing"
    assert set(fields) == used, "a field that no other template reads"


def facts(render: Renderer, values: Manifest) -> dict[str, Any]:
    """The dict of a release, as an extra object sees it."""
    text = "apiVersion: v1\nkind: List\nmetadata: {name: facts}\nitems: [{{ toJson .Facts | quote }}]"
    manifests = render(merge(values, {"extraObjects": [text]}))
    found: dict[str, Any] = json.loads(find(manifests, "List")["items"][0])
    return found


@pytest.mark.parametrize("path", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
def test_the_facts_have_the_types_that_are_documented(render: Renderer, path: Path) -> None:
    found = facts(render, yaml.safe_load(path.read_text()) or {})
    assert set(found) == set(documented())
    for name, kind in documented().items():
        assert type(found[name]) is TYPES[kind], f"{name} is {found[name]!r}"
    assert all(type(known) is bool for known in found["knows"].values())
