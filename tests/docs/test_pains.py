"""docs/pains.md claims nothing that no test holds: each named test is there, with its case, and so is each key."""

import ast
import re

import pytest
from fuzz.documents import LEAVES
from support.helm import ROOT

pytestmark = pytest.mark.prose

PAGE = (ROOT / "docs" / "pains.md").read_text()
REPORTS, WISHES = PAGE.split("## Sixteen things")
Row = tuple[int, list[str]]
LINK = re.compile(r"\((https://github\.com/[^\s/)]+/[^\s/)]+/(?:issues|pull)/\d+)\)")


def rows(text: str) -> list[Row]:
    """Numbered rows with their cells."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0].isdigit():
            found.append((int(cells[0]), cells[1:]))
    return found


ROWS = [*rows(REPORTS), *rows(WISHES)]


def named_tests(cell: str) -> list[tuple[str, str, str]]:
    """File, function and case (empty where none is named) of each test in a cell."""
    return re.findall(r"`([\w/]+\.py)::(\w+)(?:\[([^\]]+)\])?`", cell)


def test_all_of_both_lists_are_answered() -> None:
    assert [number for number, _ in rows(REPORTS)] == list(range(1, 58))
    assert [number for number, _ in rows(WISHES)] == list(range(1, 17))


@pytest.mark.parametrize(("number", "cells"), rows(REPORTS), ids=str)
def test_a_report_is_linked_and_is_prevented_or_says_why_not(number: int, cells: list[str]) -> None:
    told, prevention, proof = cells
    assert LINK.search(told), "no report is linked"
    same = re.match(r"as (\d+)", prevention)
    assert same is None or int(same[1]) < number
    if not named_tests(proof):
        assert proof == "-"
        reason = prevention.partition("Not prevented: ")[2]
        assert len(reason.split()) > 5, "neither a test nor a reason"


@pytest.mark.parametrize(("number", "cells"), ROWS, ids=str)
def test_each_named_test_is_there_with_its_case(number: int, cells: list[str]) -> None:
    spans = re.findall(r"`[^`]+`", cells[-1])
    named = named_tests(cells[-1])
    assert len(named) == len(spans), f"not of the form `file::test[case]`: {spans}"
    for file, function, case in named:
        path = ROOT / "tests" / file
        assert path.exists(), file
        tree = ast.parse(path.read_text())
        nodes = list(ast.walk(tree))
        functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        # the pair of tests that a table of refusals gets is assigned
        functions |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        assert function in functions, f"{file} has no {function}"
        texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
        assert not case or case in texts, f"{file} has no case {case}"


def test_each_key_is_one_of_the_schema() -> None:
    parents = {path.rsplit(".", count)[0] for path in LEAVES for count in range(1, path.count(".") + 1)}
    keys = re.findall(r"`([a-z]\w*(?:\.[a-zA-Z]\w*)+)`", PAGE)
    assert len(keys) > 20
    assert set(keys) <= {*LEAVES, *parents}
