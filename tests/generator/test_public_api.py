"""What a program that imports the package may rely on."""

import ast
import subprocess
import sys
from pathlib import Path

import llm_serving_planner as planner
import pytest
import yaml
from llm_serving_planner.cli.main import main

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"


def test_every_public_name_is_there_and_documented() -> None:
    for name in set(planner.__all__) - {"__version__"}:
        assert getattr(planner, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = planner.nothing


def test_for_type_checkers_the_names_are_the_same() -> None:
    tree = ast.parse(Path(planner.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.asname or alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert typed == set(planner._PLACES)
    assert typed <= set(planner.__all__)


def test_a_plan_is_the_command_lines(capsys: pytest.CaptureFixture[str]) -> None:
    found = planner.plan(MISTRAL, "2xt4", planner.Options(max_model_len=16384), offline=True)
    assert main(["values", MISTRAL, "--profile", "2xt4", "--max-model-len", "16384", "--offline"]) == 0
    assert capsys.readouterr().out == planner.values(found)
    assert yaml.safe_load(planner.values(found))["engine"]["args"]["max-model-len"] == 16384


def test_facts_and_profiles_may_be_handed_in() -> None:
    spec, profile = planner.resolve(MISTRAL, offline=True), planner.parse_profile("2xt4")
    assert planner.plan(spec, profile, offline=True) == planner.plan(MISTRAL, "2xt4", offline=True)


def test_a_refusal_carries_reasons_and_ways_out() -> None:
    spec = planner.resolve("meta-llama/Llama-3.3-70B-Instruct", offline=True)
    with pytest.raises(planner.DoesNotFitError) as caught:
        planner.plan(spec, "1xt4", offline=True)
    assert caught.value.reasons
    profile = planner.parse_profile("1xt4")
    assert caught.value.ways_out == planner.ways_out(spec, profile, planner.Options()) != ()


def test_the_version_loads_no_planner() -> None:
    code = "import sys, llm_serving_planner; print(llm_serving_planner.__version__); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert version == planner.__version__
    assert not {name for name in modules.split() if name.startswith("llm_serving_planner.planner")}


def test_a_workload_gives_the_command_lines_promise(tmp_path: Path) -> None:
    load = planner.workload("chat", users=50, ttft=1.0, itl=0.033)
    found = planner.plan("Qwen/Qwen3-8B", "1xh100", workload=load, offline=True)
    words = ["Qwen/Qwen3-8B", "--profile", "1xh100", "--offline", *load.words, "-o", str(tmp_path / "x.yaml")]
    assert main(["values", *words]) == 0
    assert yaml.safe_load((tmp_path / "x.yaml").read_text())["plan"]["promise"] == found.promise
