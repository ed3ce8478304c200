"""The table of options: one row is enough for parser, check, completion, record, catalog, site and page."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from documents.cli_page import cli_page
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.records import record
from llm_serving_planner.cli import completion, main, planning
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.output import explain
from llm_serving_planner.output.committed import load_catalog
from llm_serving_planner.planner import options
from llm_serving_planner.planner.option_checks import check_options
from llm_serving_planner.planner.options import Declaration, Form, Options, option, table
from llm_serving_planner.planner.proposals import make_plan
from website import planning as site

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"


@record
class More(Options):
    """The options with one that nothing knows of."""

    made_up: str | None = option(
        "how much is made up",
        allowed=("little", "much", "all"),
        needs=("image", "--made-up has no use without --image"),
        refused={"all": "--made-up all is not planned"},
        flags=("dtype",),
        why="as was made up",
        form=Form("Service", "Made up", "nothing"),
    )
    made_up_size: int | None = option("size of it", metavar="N", minimum=1, form=Form("Service", "Size", "none"))


@pytest.fixture
def more(monkeypatch: pytest.MonkeyPatch) -> type[More]:
    """The table with two rows more."""
    monkeypatch.setattr(options, "Options", More)
    return More


def parsed(*words: str) -> Options:
    parser = argparse.ArgumentParser()
    planning.add_pins(parser)
    return planning.planning_options(parser.parse_args(words))


def refused(given: Options) -> InputError:
    with pytest.raises(InputError) as caught:
        check_options(given)
    return caught.value


def test_the_parser_takes_a_new_option(more: type[More], capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed("--made-up", "much", "--made-up-size", "3") == more(made_up="much", made_up_size=3)
    with pytest.raises(SystemExit):
        parsed("--made-up", "some")
    assert "argument --made-up: invalid choice: 'some'" in capsys.readouterr().err


def test_the_check_knows_all_that_its_row_says(more: type[More]) -> None:
    check_options(more(made_up="much", image="r.example/x:1", made_up_size=1))
    told = "--made-up is 'some': one of little, much, all is expected"
    assert str(refused(more(made_up="some"))) == told
    assert str(refused(more(made_up_size=0))) == "--made-up-size is 0: a positive whole number is expected"
    assert str(refused(more(made_up="much"))) == "--made-up has no use without --image"
    assert str(refused(more(made_up="all", image="r.example/x:1"))) == "--made-up all is not planned"


def test_a_plan_records_and_explains_it(more: type[More]) -> None:
    spec = embedded.find(MISTRAL)
    assert spec is not None
    plan = make_plan(spec, parse_profile("2xt4"), more(made_up="much", image="r.example/x:1"))
    assert plan.options.pinned() == {"image": "r.example/x:1", "made_up": "much"}
    assert explain.command_line(plan).endswith("--image r.example/x:1 --made-up much")
    assert explain.explain(plan)["args"]["dtype"] == "as was made up"
    assert explain.explain(replace(plan, options=more()))["args"]["dtype"] != "as was made up"


@pytest.mark.parametrize("shell", completion.SHELLS)
@pytest.mark.usefixtures("more")
def test_completion_offers_it(shell: str) -> None:
    text = completion.script(shell, main.build_parser())
    assert "made-up-size" in text
    assert "little" in text


def test_the_catalog_may_set_it(more: type[More], tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    entry = "values:\n  - {name: a, model: org/a, profile: 1xt4, options: {made_up: much, lora: [a=org/b]}}\n"
    path.write_text(entry)
    (found,) = load_catalog(path)
    assert found.options == more(name="a", made_up="much", lora=("a=org/b",))
    path.write_text(entry.replace("made_up", "made_upp"))
    with pytest.raises(InputError, match=r"options may be alias, .*made_up, made_up_size, "):
        load_catalog(path)


@pytest.mark.usefixtures("more")
def test_the_sites_form_shows_it() -> None:
    *_, made_up, size = site.sections()["Service"]
    assert (made_up.name, made_up.kind, made_up.unset) == ("made-up", "select", "nothing")
    assert made_up.entries == {"little": "little", "much": "much"}
    assert (size.name, size.kind, size.limits) == ("made-up-size", "number", {"min": "1", "step": "1"})


@pytest.mark.usefixtures("more")
def test_the_page_of_the_command_line_describes_it() -> None:
    page = cli_page()
    for row in ("| `--made-up {little,much}` | how much is made up |", "| `--made-up-size N` | size of it |"):
        assert page.count(row) == 3, "plan, values and check"


# Laws of the table itself.


@pytest.mark.parametrize("row", table(), ids=lambda row: row.name)
def test_a_row_is_whole(row: Declaration) -> None:
    names = {other.name for other in table()}
    assert row.help
    assert row.group in options.GROUPS
    assert row.type in {bool, int, float, str}
    assert row.default in {None, (), False} or not row.choices or row.default in row.choices
    assert (row.metavar is None) or not row.choices, "choices stand for themselves"
    assert not row.refused or set(row.refused) <= set(row.choices)
    assert {row.needs[0] if row.needs else row.name, *(name for name, _ in row.value_needs.values())} <= names
    assert row.repeatable == (row.default == ())
    if row.minimum is not None or row.above is not None or row.maximum is not None:
        assert row.type in {int, float}


def test_every_field_of_the_options_has_a_row_but_what_is_read_for_them() -> None:
    names = set(Options.__dataclass_fields__)
    assert names - {row.name for row in table()} == {"about", "adapters", "draft", "template_text"}


def test_what_is_left_to_the_planner_passes() -> None:
    check_options(Options())
    assert Options().pinned() == {}


BOUNDS: list[tuple[str, Any, Any]] = [
    ("gpu_memory_utilization", 1, 1.01), ("gpu_memory_utilization", 0.01, 0), ("download_gbps", 0.1, 0),
    ("kv_offload_gib", 0.5, -1), ("replicas", 1, 0), ("gpu_memory_utilization", 0.5, float("nan")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good", "bad"), BOUNDS)
def test_a_bound_and_its_neighbour(name: str, good: Any, bad: Any) -> None:
    check_options(replace(Options(), **{name: good}))
    assert str(refused(replace(Options(), **{name: bad}))).startswith(f"{options.flag(name)} is {bad}: a ")
