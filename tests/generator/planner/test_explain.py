"""A sentence beside a number says what the number was computed from, whatever the constants are."""

import ast
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from llm_serving_planner.engines import tgi, tgis, vllm
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.output import explain, report
from llm_serving_planner.output.render import render_values
from llm_serving_planner.planner import resources
from llm_serving_planner.planner.devices import cpu
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.proposals import make_plan

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"
PACKAGE = Path(explain.__file__).parent


def values(profile: str, model: str = MISTRAL, **options: Any) -> str:
    """The values file of a plan."""
    spec = embedded.find(model)
    assert spec is not None
    return render_values(make_plan(spec, parse_profile(profile), Options(**options)))


TGI: dict[str, Any] = {"engine": "tgi"}
TGIS: dict[str, Any] = {"engine": "tgis", "model": "ibm-granite/granite-7b-base"}
DATA: dict[str, Any] = {"model": "Qwen/Qwen3-30B-A3B", "data_parallel_size": 2}
RAY: dict[str, Any] = {"controller": "raycluster", "image": "r.example/vllm:1", "image_has_ray": True}
# Module, constant, another value, plan, sentence before, sentence after.
FOUR = {"tensor_parallel_size": 4}
CONSTANTS: list[tuple[ModuleType, str, Any, str, dict[str, Any], str, str]] = [
    (resources, "HOST_BASE_GIB", 5, "2xl4", {}, "4 GiB for the API server", "5 GiB for the API server"),
    (resources, "HOST_PER_GPU_GIB", 7, "2xl4", {}, "3 GiB per GPU process", "7 GiB per GPU process"),
    (resources, "HOST_PER_ENGINE_GIB", 9, "2xl40s", DATA, "2 GiB per further engine", "9 GiB per further engine"),
    (resources, "LOADING_GIB", 11, "2xl4", {}, "up to 10 GiB of the file", "up to 11 GiB of the file"),
    (resources, "DISK_SHARE", 0.2, "2xl4", {}, "+ 10 % +", "+ 20 % +"),
    (resources, "DISK_EXTRA_GIB", 12, "2xl4", {}, "+ 8 GiB for compile", "+ 12 GiB for compile"),
    (resources, "CORES_BASE", 3, "2xl4", {}, "two cores for the API server", "three cores for the API server"),
    (resources, "CORES_PER_GPU", 2, "2xl4", {}, "one per GPU", "two per GPU"),
    (resources, "CORES_PER_ENGINE", 4, "2xl40s", DATA, "one per further engine", "four per further engine"),
    (resources, "BUDGET_FACTOR", 3, "2xl4", {}, "# twice ", "# three times "),
    (resources, "LEAST_BUDGET_SECONDS", 900, "2xl4", {}, "at least 600", "at least 900"),
    (resources, "IMAGE_GB", 25, "2xl4", {}, "image of about 10 GB", "image of about 25 GB"),
    (resources, "SHARED_MEMORY_GIB", ((2, 2), (4, 9), (8, 16), (16, 17)), "4xl4", FOUR, "2Gi up to two, 8Gi up to "
     "four, 16Gi above", "2Gi up to two, 9Gi up to four, 16Gi up to eight, 17Gi above"),
    (cpu, "CORES_PER_RANK", 3, "cpu", {}, "two cores per engine process", "three cores per engine process"),
    (cpu, "HOST_PER_RANK_GIB", 4, "cpu", {}, "3 GiB beside them", "6 GiB beside them"),
    (cpu, "HOST_BASE_GIB", 4, "cpu", {}, "3 GiB beside them", "5 GiB beside them"),
    (tgi, "SHARE", 0.95, "2xa10g", TGI, "takes 0.90 of this share", "takes 0.95 of this share"),
    (tgi, "ANSWER_TOKENS", 2, "2xa10g", TGI, "all but one token of", "all but two tokens of"),
    (tgis, "ANSWER_PARTS", 4, "2xa10g", TGIS, "half of a request's", "one part in four of a request's"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name", "other", "profile", "options", "before", "after"),
    CONSTANTS,
    ids=[f"{row[0].__name__.rpartition('.')[2]}.{row[1]}" for row in CONSTANTS],
)
def test_a_changed_constant_changes_its_number_and_its_sentence(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    other: Any,
    profile: str,
    options: dict[str, Any],
    before: str,
    after: str,
) -> None:
    old = values(profile, **options)
    monkeypatch.setattr(module, name, other)
    new = values(profile, **options)
    assert (before in old, after in old, before in new, after in new) == (True, False, False, True)
    floor = name == "LEAST_BUDGET_SECONDS"  # bound by the sum of the phases in this plan
    assert floor or yaml.safe_load(old) != yaml.safe_load(new), "the number is computed from it"


def test_the_version_that_lost_ray_is_the_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "stock images of vLLM lost with 0.18.0" in values("2x2xl4", **RAY)
    gates = [gate | ({"from": "0.19.1"} if gate["name"] == "ray-dropped" else {}) for gate in vllm.facts()["gates"]]
    changed = vllm.facts() | {"gates": gates}
    monkeypatch.setattr(vllm, "facts", lambda: changed)
    assert "stock images of vLLM lost with 0.19.1" in values("2x2xl4", **RAY)


def test_the_usual_request_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = embedded.find(MISTRAL)
    assert spec is not None
    plan = make_plan(spec, parse_profile("2xl4"))
    assert " of 2,000 tokens\n" in report.text_report(plan)
    monkeypatch.setattr(report, "USUAL_REQUEST", 1500)
    assert " of 1,500 tokens\n" in report.text_report(plan)


# Digits that are no constant of ours.
ALLOWED = {
    "batch sizes of the captured graphs; 0 captures none": "0 is a value of the flag",
    "# running answers may end; 0 where the engine has no such flag": "0 is a value of the key",
    "# huge pages of 2 MiB that the node must have set aside": "Kubernetes' own name: hugepages-2Mi",
}


_SEAMS = (*PACKAGE.parent.glob("engines/*.py"), *PACKAGE.parent.glob("planner/devices/*.py"))
_REASONS = {"flag_reasons", "pod_reasons", "environment_reasons", "selector_reason"}


def typed() -> list[str]:
    """Every piece of text of explain.py, feature_keys.py, the template, and the reasons of engines and devices."""
    found = []
    for path in (PACKAGE / "explain.py", PACKAGE / "feature_keys.py", *_SEAMS):
        tree: ast.AST = ast.parse(path.read_text())
        if path in _SEAMS:
            reasons = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in _REASONS]
            tree = ast.Module(list(reasons), [])
        formats = {
            id(piece)
            for node in ast.walk(tree)
            if isinstance(node, ast.FormattedValue) and node.format_spec is not None
            for piece in ast.walk(node.format_spec)
        }
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef) and node.body and isinstance(node.body[0], ast.Expr)
        }
        found += [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in formats | docs
        ]
    template = (PACKAGE / "templates" / "values.yaml.j2").read_text()
    return found + [line.strip() for line in template.splitlines() if line.strip().startswith("#")]


def test_no_number_is_typed_into_a_sentence() -> None:
    with_digits = {text for text in typed() if re.search(r"\d", re.sub(r"\{\{.*?\}\}", "", text))}
    assert with_digits == set(ALLOWED)
