"""The command as a user types it, on good input."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.cli import main as main_module
from llm_serving_planner.engines import vllm
from llm_serving_planner.output.schema import validate
from support.command import MISTRAL, run
from support.fake_hub import SHA, FakeHub
from support.helm import engine, flags, in_process


def values_of(done: Any) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = yaml.safe_load(done.stdout)
    validate(values, "stdout")
    return values


def test_a_hub_model_is_pinned_to_its_commit(tmp_path: Path, hub: FakeHub) -> None:
    done = run("values", "org/tiny", "--profile", "1xt4", cwd=tmp_path, HF_ENDPOINT=hub.url)
    values = values_of(done)
    assert values["model"] == {
        "id": "org/tiny", "revision": SHA, "servedName": "tiny", "gated": False, "trustRemoteCode": False,
    }  # fmt: skip
    assert flags(in_process(values))["--revision"] == SHA
    assert values["plan"]["source"] == "hub (safetensors headers)"


def test_a_gated_hub_model_names_its_secret(tmp_path: Path, hub: FakeHub) -> None:
    hub.models["org/tiny"].gated, hub.models["org/tiny"].token = True, "hf_secret"
    words = ("values", "org/tiny", "--profile", "1xt4", "--hf-token-secret", "mine")
    done = run(*words, cwd=tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN="hf_secret")
    values = values_of(done)
    assert values["auth"]["hfToken"] == {"existingSecret": "mine", "key": "token"}
    assert "hf_secret" not in done.stdout + done.stderr
    env = {entry["name"]: entry for entry in engine(in_process(values))["env"]}
    assert env["HF_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "mine"


def test_a_folder_is_served_from_a_volume(tmp_path: Path, folder: Path) -> None:
    refused = run("values", str(folder), "--profile", "1xt4", cwd=tmp_path)
    assert refused.returncode == 1
    assert "--storage existingClaim" in refused.stderr
    words = ("--storage", "existingClaim", "--storage-name", "models")
    values = values_of(run("values", str(folder), "--profile", "1xt4", *words, cwd=tmp_path))
    assert values["model"]["path"] == "/llm/models/tiny"
    assert engine(in_process(values))["args"][0] == "/llm/models/tiny"


def test_a_plan_as_json_has_stable_keys(tmp_path: Path) -> None:
    done = run("plan", MISTRAL, "--profile", "2xt4", "--offline", "--format", "json", cwd=tmp_path)
    plan = json.loads(done.stdout)
    assert set(plan) == {
        "model", "profile", "gpu", "engine", "verdict", "dtype", "quantization", "kv_cache_dtype", "attention",
        "attention_reason", "context_limit", "layout", "settings", "estimate", "cache_tokens", "concurrency",
        "resources", "pinned", "use", "assumptions", "warnings", "rejected",
    }  # fmt: skip
    assert plan["settings"]["tensor_parallel"] == 2


def test_the_name_decides_file_and_release(tmp_path: Path) -> None:
    done = run(
        "values",
        MISTRAL,
        "--profile",
        "2xt4",
        "--name",
        "My Model",
        "-o",
        "out/",
        "--offline",
        "--chart",
        "charts/llm-serving",
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert done.stdout == ""
    assert (tmp_path / "out" / "my-model-2xt4.yaml").exists()
    assert "next: helm install my-model charts/llm-serving -f out/my-model-2xt4.yaml" in done.stderr


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    words = ("values", MISTRAL, "--profile", "2xt4", "--offline")
    assert run(*words, cwd=tmp_path).stdout == run(*words, cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("pin", "flag", "value"),
    [
        (("--max-model-len", "4096"), "--max-model-len", "4096"),
        (("--max-num-seqs", "7"), "--max-num-seqs", "7"),
        (("--max-num-batched-tokens", "1000"), "--max-num-batched-tokens", "1000"),
        (("--gpu-memory-utilization", "0.85"), "--gpu-memory-utilization", "0.85"),
        (("--dtype", "float16"), "--dtype", "float16"),
        (("--quantization", "fp8"), "--quantization", "fp8"),
        (("--enforce-eager",), "--enforce-eager", ""),
        (("--served-name", "x"), "--served-model-name", "x"),
        (("--tensor-parallel-size", "1", "--quantization", "fp8"), "--tensor-parallel-size", "1"),
    ],
)
def test_a_pin_reaches_the_engine(tmp_path: Path, pin: tuple[str, ...], flag: str, value: str) -> None:
    values = values_of(run("values", MISTRAL, "--profile", "2xt4", "--offline", *pin, cwd=tmp_path))
    assert flags(in_process(values))[flag] == value


@pytest.mark.parametrize("version", ["0.11.1", "0.17.1", "0.19.1", "0.25.1", "0.33.0"])
def test_an_engine_version_gets_its_own_flags(tmp_path: Path, version: str) -> None:
    words = ("values", MISTRAL, "--profile", "1xl4", "--offline", "--engine-version", version)
    values = values_of(run(*words, cwd=tmp_path))
    rendered = in_process(values)
    assert engine(rendered)["image"].endswith(f":v{version}")
    for flag in flags(rendered):
        assert vllm.flag_problem(flag.removeprefix("--"), version) is None, flag


def test_profiles_models_schema_and_validate_answer(tmp_path: Path) -> None:
    gpus = json.loads(run("profiles", "--format", "json", cwd=tmp_path).stdout)
    assert (len(gpus["gpus"]), len(gpus["machines"])) == (64, 137)
    models = json.loads(run("models", "--format", "json", cwd=tmp_path).stdout)
    assert len(models) >= 250
    assert json.loads(run("schema", cwd=tmp_path).stdout)["title"].startswith("Values")
    (tmp_path / "v.yaml").write_text("replicas: 1\n")
    done = run("validate", "v.yaml", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout) == [{"file": "v.yaml", "ok": True, "problem": None}]
    assert load_values(tmp_path / "v.yaml") == {"replicas": 1}


def test_each_command_is_in_the_module_that_is_named_for_it() -> None:
    """A command loads the parser of one module; the table says of which."""
    (whole,) = (
        action for action in main_module.build_parser()._actions if action.choices and not action.option_strings
    )
    assert list(whole.choices or ()) == list(main_module._COMMANDS)
    for module in dict.fromkeys(main_module._COMMANDS.values()):
        (part,) = (
            action
            for action in main_module.build_parser(module)._actions
            if action.choices and not action.option_strings
        )
        assert list(part.choices or ()) == [name for name, home in main_module._COMMANDS.items() if home == module]


def test_an_unknown_command_is_told_all_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main_module.main(["plam"])
    assert ended.value.code == 2
    assert "invalid choice: 'plam'" in (told := capsys.readouterr().err)
    assert "preflight" in told
