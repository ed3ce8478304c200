"""The tables of planted defects and of mutants fit the tree, and their tools notice what they should."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from defects import mutants, operators, page, plant
from defects.tree import Copy, make_copy
from support.helm import ROOT

DEFECTS = plant.load()
PAGE = (ROOT / "docs" / "defects.md").read_text()
# Among the quickest; each of another kind of test.
FOR_REAL = ("probe-path", "kv-blocks", "publish-overwrite")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return make_copy(ROOT, tmp_path_factory.mktemp("defects"))


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.name)
def test_a_defect_can_be_planted(defect: plant.Defect) -> None:
    assert plant.planted(ROOT, defect) != (ROOT / defect.file).read_text()


def test_every_named_test_exists() -> None:
    nodes = list(dict.fromkeys(defect.test for defect in DEFECTS))
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *nodes]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_kinds_that_matter_are_there() -> None:
    assert len(DEFECTS) >= 50
    folders = (
        "charts/llm-serving/templates/",
        "generator/supervisor/",
        "generator/llm_serving_planner/",
        "tools/publishing/",
    )
    for folder in folders:
        assert sum(defect.file.startswith(folder) for defect in DEFECTS) >= 3, folder


def test_the_page_has_every_defect_in_order_and_no_other() -> None:
    section = PAGE.split("<!-- planted -->\n")[1].split("<!-- end of planted -->")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert len(rows) == len(DEFECTS), "run: make defects"
    for row, defect in zip(rows, DEFECTS, strict=True):
        assert row.startswith(page.row_start(defect)), "run: make defects"


@pytest.mark.parametrize("name", FOR_REAL)
def test_a_planted_defect_is_caught_and_taken_back(copy: Copy, name: str) -> None:
    (defect,) = [one for one in DEFECTS if one.name == name]
    outcome = plant.plant(copy, defect)
    assert outcome.caught, outcome.reading
    assert (copy.root / defect.file).read_text() == (ROOT / defect.file).read_text()
    plant.check_sound(copy, [defect])


def test_a_change_that_harms_nothing_is_not_caught(copy: Copy) -> None:
    (defect,) = [one for one in DEFECTS if one.name == "kv-blocks"]
    harmless = plant.Defect("x", defect.file, defect.old, f"{defect.old}  # the same", "", defect.test)
    assert not plant.plant(copy, harmless).caught


def test_a_test_that_cannot_run_has_caught_nothing(copy: Copy) -> None:
    (defect,) = [one for one in DEFECTS if one.name == "kv-blocks"]
    gone = plant.Defect(
        "x", defect.file, defect.old, defect.new, "", "tests/generator/memory/test_memory.py::test_none"
    )
    outcome = plant.plant(copy, gone)
    assert not outcome.caught
    assert outcome.reading.startswith("code 4")
    torn = plant.Defect("x", defect.file, defect.old, "blocks = (", "", defect.test)
    assert plant.plant(copy, torn).reading.startswith("code ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("blocks", "x", r"stands \d\d? times"),
        ("no such text", "x", "stands 0 times"),
        ("MLA_BLOCK_TOKENS = 64", "MLA_BLOCK_TOKENS = 64", "are the same"),
    ],
)
def test_data_that_do_not_fit_are_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(plant.DefectError, match=message):
        plant.planted(ROOT, plant.Defect("x", "generator/llm_serving_planner/memory/kv_cache.py", old, new, "", ""))


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    entry = "- {name: a, file: f, old: o, new: n, what: w, test: t}\n"
    (tmp_path / "x.yaml").write_text(entry * 2)
    with pytest.raises(plant.DefectError, match=r"x\.yaml: twice: a"):
        plant.load(tmp_path / "x.yaml")


def test_how_a_failure_reads() -> None:
    printed = "E       AssertionError: left\nFAILED tests/a.py::test_b[x y] - AssertionError: assert 1 == 2\n"
    assert plant.reading(printed, Path("/r")) == "assert 1 == 2"
    assert plant.reading("FAILED tests/a.py::b - ValueError: /tmp/x/tree/f: no\n", Path("/tmp/x/tree")) == (
        "ValueError: /f: no"
    )
    assert len(plant.reading(f"FAILED a - {'x' * 500}\n", Path("/r"))) == 160


# Mutants.

SOURCE = '''
"""A module."""
LIMIT = 3

def share(count: int, size: int = 2) -> int:
    """A function."""
    if count < LIMIT and not size:
        return count // size
    return None
'''
CHANGES = {
    "module: LIMIT = 3 -> LIMIT = 4",
    "module: LIMIT = 3 -> LIMIT = 2",
    "share: def share(count: int, size: int=2) -> int: -> def share(count: int, size: int=3) -> int:",
    "share: def share(count: int, size: int=2) -> int: -> def share(count: int, size: int=1) -> int:",
    "share: if count < LIMIT and (not size): -> if not (count < LIMIT and (not size)):",
    "share: if count < LIMIT and (not size): -> if count < LIMIT or not size:",
    "share: if count < LIMIT and (not size): -> if count <= LIMIT and (not size):",
    "share: if count < LIMIT and (not size): -> if count < LIMIT and (not not size):",
    "share: return count // size -> return None",
    "share: return count // size -> return count * size",
}


def test_mutants_are_the_slips_of_a_pen() -> None:
    found = operators.mutants(SOURCE)
    assert {mutant.key for mutant in found} == CHANGES
    assert len({mutant.source for mutant in found}) == len(CHANGES)
    assert all(compile(mutant.source, "mutant", "exec") for mutant in found)


def test_a_sample_is_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(SOURCE)
    some = mutants.Target("m.py", (), 4)
    first, every = mutants.drawn(tmp_path, some, 1)
    assert (len(first), every) == (4, len(CHANGES))
    assert mutants.drawn(tmp_path, some, 1) == (first, every)
    assert len(mutants.drawn(tmp_path, mutants.Target("m.py", (), None), 1)[0]) == every


def test_explained_survivors_are_mutants_and_stand_on_the_page() -> None:
    told = mutants.load()
    section = PAGE.split("<!-- mutants -->\n")[1].split("<!-- end of mutants -->")[0]
    for target in told.targets:
        assert f"| `{target.file}` | " in section, "run: make mutants"
        keys = {mutant.key for mutant in operators.mutants((ROOT / target.file).read_text())}
        assert set(told.equivalent.get(target.file, {})) <= keys, target.file
        for name in target.tests:
            assert (ROOT / name.partition("::")[0]).exists(), name
    reasons = [reason for one in told.equivalent.values() for reason in one.values()]
    assert all(len(reason) > 20 for reason in reasons)
    rows = re.findall(r"^\| `\S+` \| \d+ \| \d+ \| \d+ \| (\d+) \|", section, re.MULTILINE)
    survived = sum(int(count) for count in rows)
    assert survived == len(reasons), "run: make mutants"


def test_a_mutant_dies_survives_or_hangs(copy: Copy) -> None:
    runner = mutants.Runner(copy, 20)
    file = "generator/llm_serving_planner/memory/tensors.py"
    test = ("tests/generator/memory/test_memory.py::test_vocabulary_is_padded_to_64",)
    text = (ROOT / file).read_text()
    try:
        assert runner.ask(file, text, test)["outcome"] == "survived"
        dead = runner.ask(file, text.replace("VOCAB_PADDING = 64", "VOCAB_PADDING = 65"), test)
        assert dead["outcome"] == "killed"
        assert dead["said"].startswith(test[0])
        whole = ("tests/generator/memory/test_memory.py",)
        assert runner.ask(file, "import nothing_of_this_name\n", whole)["outcome"] == "killed"
        assert runner.ask(file, text, ("tests/generator/memory/test_memory.py::test_none",))["outcome"] == "error"
    finally:
        runner.close()
    slow = mutants.Runner(copy, 0.5)
    try:
        assert slow.ask(file, f"import time\ntime.sleep(30)\n{text}", test)["outcome"] == "timeout"
        assert slow.ask(file, text, test)["outcome"] in {"survived", "timeout"}
    finally:
        slow.close()
