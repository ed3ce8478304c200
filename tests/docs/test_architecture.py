"""docs/architecture.md says how the generator is built; the tree is asked whether that is so."""

import ast
from graphlib import TopologicalSorter

import pytest
from documents import architecture_page as page
from support.helm import ROOT

MODULES = page.modules(ROOT)
EDGES = page.edges(ROOT)
LEAVES_THE_PROCESS = {"asyncio", "grpc", "http", "huggingface_hub", "requests", "socket", "subprocess", "urllib"}
# docs/architecture.md: "Only ... leave the process".
MAY = {"hub", "logs.release", "preflight.client", "nodes.facts"}


def outside(tree: ast.Module) -> set[str]:
    """What a module imports from elsewhere, inside functions too; `urllib.parse` only reads text."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.split(".")[0] for name in found - {"urllib.parse"}}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_one_reason(name: str) -> None:
    reason = MODULES[name][0]
    assert len(reason) > 10, f"{name}: its first line is its reason"
    assert [other for other, (text, _) in MODULES.items() if text == reason] == [name]


def test_the_contract_imports_nothing_else() -> None:
    assert {pair: by for pair, by in EDGES.items() if pair[0] == "contract"} == {}


def test_one_direction_no_way_back() -> None:
    """But for cpu.py, as the page says."""
    forward = {pair for pair, by in EDGES.items() if any(name != "cpu" for name, _ in by)}
    graph: dict[str, set[str]] = {}
    for start, end in forward:
        graph.setdefault(start, set()).add(end)
    assert list(TopologicalSorter(graph).static_order())[-1] == "commands"


def test_only_the_named_modules_leave_the_process() -> None:
    leaving = {name for name, (_, tree) in MODULES.items() if outside(tree) & LEAVES_THE_PROCESS}
    assert {name for name in leaving if not name.startswith("clients.")} == MAY


def test_the_planner_reads_data_only() -> None:
    """Nothing that the planner imports, directly or not, leaves the process."""
    known = set(MODULES)
    todo, seen = ["plan"], set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += page.imports(name, MODULES[name][1], known)
    assert {"memory", "rules", "search", "profiles"} <= seen
    assert not {name for name in seen if outside(MODULES[name][1]) & LEAVES_THE_PROCESS}


def test_parts_name_modules_that_exist() -> None:
    for part, names in page._PARTS.items():
        assert set(names) <= set(MODULES), part
    assert set(page._TITLES) <= {page.part_of(name) for name in MODULES} | set(page._PARTS)
