"""docs/sizing.md: every line of arithmetic is computed, and its result is the planner's."""

import math
import re
from collections.abc import Iterator

import pytest
from llm_serving_planner.base.units import GIB
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from support.helm import ROOT

pytestmark = pytest.mark.prose


PAGE = (ROOT / "docs" / "sizing.md").read_text()
ROUNDING = 0.004  # two decimals of a GiB on the left, one on the right


def lines() -> Iterator[tuple[str, str, str]]:
    """Heading, name and text of each line."""
    for part in PAGE.split("\n## Worked example: ")[1:]:
        title = part.partition("\n")[0]
        for block in re.findall(r"```calc\n(.*?)```", part, re.DOTALL):
            for line in block.strip().splitlines():
                name, _, text = line.partition(": ")
                yield title, name, text


LINES = list(lines())


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


def value(expression: str) -> float:
    """The left side: numbers and the signs between them, each followed by words that say what it is."""
    result, sign, total = 1.0, "x", 0.0
    for found in re.finditer(r"(?P<sign>(?<= )[x/+](?= ))|(?P<number>(?<![\w.])\d[\d,]*(?:\.\d+)?)", expression):
        if found["sign"]:
            sign = found["sign"]
            continue
        number = float(found["number"].replace(",", ""))
        if sign == "+":
            total, result = total + result, number
        else:
            result = result * number if sign == "x" else result / number
        sign = "nothing"
    return total + result


@pytest.mark.parametrize(("title", "name", "text"), LINES, ids=[f"{title[:20]} {name}" for title, name, _ in LINES])
def test_each_line_is_right(title: str, name: str, text: str) -> None:
    left, _, right = text.partition(" = ")
    left = re.sub(r"KV heads|GB/s|Gbit/s", "", left)
    assert math.isclose(value(left), numbers(right)[0], rel_tol=ROUNDING), f"{title}: {name}: {value(left)}"


def test_values_are_computed_as_on_paper() -> None:
    assert value("2 x 3 apples / 4 + 5 x 2 of it") == pytest.approx(11.5)
    assert not math.isclose(value("16.06 GB x 8 / 2"), 129, rel_tol=ROUNDING)


def plan_of(model: str, profile: str) -> Plan:
    spec = embedded.find(model)
    assert spec is not None
    return make_plan(spec, parse_profile(profile))


def result(title: str, name: str) -> float:
    """The last number of a line: what it says in the end."""
    (text,) = [text for heading, label, text in LINES if heading.startswith(title) and label == name]
    return numbers(text.partition(" = ")[2])[-1]


def test_the_small_gpu_is_the_planners() -> None:
    plan = plan_of("meta-llama/Llama-3.1-8B-Instruct", "1xl4")
    title, estimate, startup = "a context", plan.estimate, plan.resources.startup
    assert result(title, "bytes per token") * plan.settings.max_model_len == estimate.kv_per_request
    assert result(title, "one request") == pytest.approx(estimate.kv_per_request / GIB, abs=0.001)
    assert result(title, "requests at once") == pytest.approx(estimate.concurrency, abs=0.01)
    assert result(title, "tokens in the cache") == pytest.approx(estimate.kv_cache / 131_072, rel=ROUNDING)
    assert [result(title, name) for name in ("download", "load")] == [startup.download, startup.load]
    assert result(title, "start") == startup.base + startup.download + startup.load + startup.compile
    assert result(title, "budget") * 60 == startup.budget
    assert result(title, "memory request") * GIB == plan.resources.memory_request
    assert result(title, "memory limit") * GIB == plan.resources.memory_limit
    assert result(title, "disk") * GIB == plan.resources.disk


def test_latent_attention_is_the_planners() -> None:
    estimate = plan_of("deepseek-ai/DeepSeek-V3", "2x8xh200").estimate
    title = "latent"
    assert result(title, "bytes per token") * 163_840 == estimate.kv_per_request
    assert result(title, "one request") == pytest.approx(estimate.kv_per_request / GIB, abs=0.01)
    assert result(title, "requests at once") == pytest.approx(estimate.concurrency, abs=0.05)
    assert result(title, "tokens in the cache") == pytest.approx(estimate.kv_cache / 35_712, rel=0.0001)


def test_the_refusal_is_the_planners() -> None:
    """The output above the lines is injected: what it says of weights and room is what the lines end with."""
    told = re.search(r"Qwen3-30B-A3B does not run .*? weights need ([\d.]+) GiB per GPU, ([\d.]+) GiB are usable", PAGE)
    assert told is not None
    assert [result("a refusal", "weights"), result("a refusal", "usable")] == [float(told[1]), float(told[2])]
