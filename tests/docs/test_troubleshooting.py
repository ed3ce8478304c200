"""Nothing is said by chart, generator or engine that docs/troubleshooting.md does not know."""

import re
from collections.abc import Iterator

import pytest
from llm_serving_planner.base import errors
from llm_serving_planner.cli.console import Exit
from llm_serving_planner.cluster import rehearsal
from llm_serving_planner.logs import failures
from publishing import registry
from support.helm import CHART, ROOT
from support.tables import pattern, quoted, rows

pytestmark = pytest.mark.prose

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()


def section(title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def refusals() -> Iterator[tuple[str, str]]:
    """Each message of the chart's validation, values filled with a word."""
    for path in sorted((CHART / "templates").glob("_*.tpl")):
        text = path.read_text()
        if "$problems = append $problems" not in text:
            continue
        found = re.findall(r'append \$problems (?:\(printf )?("(?:[^"\\]|\\.)*")', text)
        assert len(found) == text.count("append $problems"), f"{path.name}: a message of a form that is not read here"
        for message in found:
            yield path.name, re.sub(r"%[sdv]", "VALUE", message.strip('"'))


REFUSALS = list(refusals())
PATTERNS = [pattern(text) for cells in rows(section("The chart refuses")) for text in quoted(cells[0])]


@pytest.mark.parametrize(("file", "message"), REFUSALS, ids=[message[:60] for _, message in REFUSALS])
def test_every_refusal_of_the_chart_has_its_entry(file: str, message: str) -> None:
    assert any(known.match(message) for known in PATTERNS), f"{file}: {message}"


def test_no_entry_of_the_chart_is_left_over() -> None:
    """A message that was dropped or reworded leaves no line behind."""
    for known in PATTERNS:
        assert any(known.match(message) for _, message in REFUSALS), known.pattern


def test_patterns_are_no_catch_all() -> None:
    assert not any(known.match("some key (5) is not to my taste. Change it.") for known in PATTERNS)


def test_every_kind_of_failure_has_a_line_that_check_knows() -> None:
    first = section("The engine does not start").split("Messages that `check` does not name")[0]
    told = set()
    for cells in rows(first):
        for text in quoted(cells[0]):
            found = failures.failure(f"ERROR 04-22 00:27:44 [core.py:1] {text}")
            assert found is not None, f"check does not know: {text}"
            assert found.kind == cells[1], text
            told.add(found.kind)
    assert told == set(failures.KINDS)


def test_what_check_does_not_name_it_does_not_name() -> None:
    second = section("The engine does not start").split("Messages that `check` does not name")[1]
    for cells in rows(second):
        for text in quoted(cells[0]):
            assert failures.failure(text) is None, f"{text} belongs into the first table"


def test_every_error_class_and_exit_code_is_there() -> None:
    told = {cells[0] for cells in rows(section("The generator"))}
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.LlmServingError) and value is not errors.LlmServingError
    }
    assert classes <= told
    assert {str(int(code)) for code in Exit} <= told


def test_every_finding_of_preflight_is_there() -> None:
    folder = ROOT / "generator" / "llm_serving_planner" / "cluster"
    text = "".join((folder / f"{name}.py").read_text() for name in ("checks", "placing", "rehearsal"))
    names = set(re.findall(r'Finding\(\s*"([a-z ]+)"', text)) | {check for _, check, _ in rehearsal.WHO}
    assert {"gpu nodes", "driver", "quota"} <= names
    assert names <= {cells[0] for cells in rows(section("The generator"))}


def test_reasons_of_a_misfit_are_those_of_the_planner() -> None:
    """Each line of the page is a message in the planner's source."""
    package = ROOT / "generator" / "llm_serving_planner"
    source = "".join(
        path.read_text() for folder in ("planner", "engines") for path in sorted((package / folder).rglob("*.py"))
    )
    source = re.sub(r"\{[^{}]*\}", "VALUE", re.sub(r'"\s*\n\s*f?"', "", source))
    table = section("The generator").split("Reasons of a misfit")[1].split("`llm-serving preflight")[0]
    for cells in rows(table):
        for text in quoted(cells[0]):
            assert pattern(text).search(source), text


def test_every_failure_of_publishing_is_there() -> None:
    table = section("Publishing")
    for _, sentence, _ in registry._MEANINGS:
        assert f"`… {sentence}`" in table, sentence


def test_messages_of_group_and_download_are_their_own() -> None:
    package = ROOT / "generator" / "supervisor"
    scripts = "".join(path.read_text() for path in [*package.glob("group*.py"), package / "download.py"])
    plain = re.sub(r"\{[^{}]*\}", "VALUE", re.sub(r'"\s*\n\s*f?"', "", scripts))
    for cells in rows(section("The download")):
        for text in quoted(cells[0]):
            assert pattern(text).search(plain), text
    for text in ("went away", "lost the leader; the group ends and forms anew", "the engine ended with code"):
        assert text in scripts
        assert text in section("Several nodes")


def test_every_link_into_a_page_has_its_heading() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", document.read_text()):
            if target.startswith("http"):
                continue
            text = (document.parent / target).read_text() if target else document.read_text()
            heads = {
                re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
                for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            }
            assert anchor in heads, f"{document.name}: {target}#{anchor}"
