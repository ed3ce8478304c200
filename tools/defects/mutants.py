"""Which mutants of the memory model and the planner survive their tests, and why those that do are harmless."""

import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from documents.tables import cell, table
from llm_serving_planner.base.writing import write_text

from defects import page
from defects.operators import Mutant, mutants
from defects.tree import Copy, make_copy

DATA = Path(__file__).parent / "mutants.yaml"
LAST = Path("build") / "mutants.json"


class MutantError(Exception):
    """The data do not fit the tree, or the tests fail without a mutant."""


@dataclass(frozen=True, slots=True)
class Target:
    """A module to mutate.

    Attributes:
        file: path in the tree.
        tests: what runs on each mutant; the others only where the first survives it.
        sample: at most so many mutants, drawn with the seed; None for all.
    """

    file: str
    tests: tuple[str, ...]
    sample: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What mutants.yaml says.

    Attributes:
        equivalent: why a survivor is harmless, by file and key.
    """

    seed: int
    seconds: float
    targets: tuple[Target, ...]
    equivalent: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant: killed, timeout, survived."""

    target: Target
    mutant: Mutant
    outcome: str


def load(path: Path = DATA) -> Plan:
    """Targets and explanations."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = tuple(Target(one["file"], tuple(one["tests"]), one.get("sample")) for one in data["targets"])
    return Plan(data["seed"], data["seconds"], targets, data["equivalent"])


def drawn(root: Path, target: Target, seed: int) -> tuple[list[Mutant], int]:
    """Mutants to run, in the order of the text, and how many there are in all."""
    every = mutants((root / target.file).read_text(encoding="utf-8"))
    if target.sample is None or target.sample >= len(every):
        return every, len(every)
    chosen = set(random.Random(f"{seed} {target.file}").sample(range(len(every)), target.sample))
    return [mutant for index, mutant in enumerate(every) if index in chosen], len(every)


class Runner:
    """The process in the copy that forks for each mutant."""

    def __init__(self, copy: Copy, seconds: float) -> None:
        self._copy, self._seconds = copy, seconds
        program = Path(__file__).parent / "fork_runner.py"
        self._process = subprocess.Popen(
            [copy.python, "-P", str(program)], cwd=copy.root, env=copy.environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, file: str, source: str, tests: tuple[str, ...]) -> dict[str, str]:
        """Outcome of the tests with this text of the file."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        request = {"file": file, "source": source, "tests": tests, "seconds": self._seconds}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, str] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def run(root: Path, runner: Runner, plan: Plan, target: Target, say: Callable[[str], None]) -> Iterator[Result]:
    """Run the mutants of a target; the file is as before afterwards.

    Raises:
        MutantError: the tests fail without a mutant, or cannot run with one.
    """
    text = (root / target.file).read_text(encoding="utf-8")
    chosen, every = drawn(root, target, plan.seed)
    sound = runner.ask(target.file, text, target.tests)
    if sound["outcome"] != "survived":
        raise MutantError(f"{target.file}: without a mutant: {sound['outcome']} {sound['said']}")
    say(f"{target.file}: {len(chosen)} of {every} mutants")
    for number, mutant in enumerate(chosen, 1):
        began = time.monotonic()
        answer = runner.ask(target.file, mutant.source, target.tests[:1])
        if answer["outcome"] == "survived":
            answer = runner.ask(target.file, mutant.source, target.tests[1:])
        where = f"{Path(target.file).name} {number}/{len(chosen)} {time.monotonic() - began:.1f} s"
        say(f"{where} {answer['outcome']}: {mutant.key} | {answer['said']}")
        if answer["outcome"] == "error":
            raise MutantError(f"{mutant.key}: the tests cannot run: {answer['said']}")
        yield Result(target, mutant, answer["outcome"])
    runner.ask(target.file, text, target.tests[:1])


def run_apart(root: Path, plan: Plan, target: Target, say: Callable[[str], None]) -> list[Result]:
    """Run the mutants of a target in a copy of its own."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        runner = Runner(make_copy(root, Path(folder)), plan.seconds)
        try:
            return list(run(root, runner, plan, target, say))
        finally:
            runner.close()


def command(root: Path, names: list[str], say: Callable[[str], None], *, last: bool = False) -> int:
    """Run all targets, three at a time, or those whose file ends with one of the names.

    The outcomes stay in build/mutants.json; with `last` they are read from there: a new explanation needs no new run.
    1 where a survivor has no explanation.

    Raises:
        MutantError: as `run`, or the last outcomes are of other mutants.
    """
    plan = load()
    targets = [one for one in plan.targets if not names or one.file.endswith(tuple(names))]
    if last:
        results = _last(root, plan, targets)
    else:
        with ThreadPoolExecutor(max_workers=3) as pool:
            results = [
                one for own in pool.map(lambda target: run_apart(root, plan, target, say), targets) for one in own
            ]
    unexplained = [one for one in survivors(results) if one.mutant.key not in plan.equivalent.get(one.target.file, {})]
    for one in unexplained:
        say(f"SURVIVED without explanation: {one.target.file}: {one.mutant.key}")
    if not last:
        _keep(root, results)
    if not names and not unexplained:
        page.replace_section(root, "mutants", section(root, plan, results))
    return 1 if unexplained else 0


def _kept(root: Path) -> dict[tuple[str, str], str]:
    """Outcomes by file and source of the mutant."""
    try:
        kept = json.loads((root / LAST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {(file, source): outcome for file, source, outcome in kept}


def _keep(root: Path, results: list[Result]) -> None:
    """Write the outcomes over those of the same files."""
    files = {one.target.file for one in results}
    kept = [[*key, outcome] for key, outcome in _kept(root).items() if key[0] not in files]
    kept += [[one.target.file, one.mutant.source, one.outcome] for one in results]
    write_text(root / LAST, json.dumps(kept))


def _last(root: Path, plan: Plan, targets: list[Target]) -> list[Result]:
    kept = _kept(root)
    results = []
    for target in targets:
        for mutant in drawn(root, target, plan.seed)[0]:
            outcome = kept.get((target.file, mutant.source))
            if outcome is None:
                raise MutantError(f"{LAST} does not have {target.file}: {mutant.key}: run make mutants")
            results.append(Result(target, mutant, outcome))
    return results


def survivors(results: list[Result]) -> list[Result]:
    """Those that no test noticed."""
    return [result for result in results if result.outcome == "survived"]


def section(root: Path, plan: Plan, results: list[Result]) -> str:
    """Rates, and each survivor with its explanation."""
    rates = []
    for target in plan.targets:
        own = [result for result in results if result.target == target]
        left = len(survivors(own))
        _, every = drawn(root, target, plan.seed)
        killed = len(own) - left
        rates.append(
            (f"`{target.file}`", str(every), str(len(own)), str(killed), str(left), f"{killed / len(own):.1%}")
        )
    rows = [
        (f"`{Path(one.target.file).name}`", page.code(one.mutant.where), page.code(one.mutant.before),
         page.code(one.mutant.after), cell(plan.equivalent[one.target.file][one.mutant.key]))
        for one in survivors(results)
    ]  # fmt: skip
    head = ("module", "mutants", "run", "killed", "survived", "killed, share")
    told = table(("module", "where", "before", "after", "why it is harmless"), rows) if rows else "None survived.\n"
    return table(head, rates) + f"\n{told}"
