"""A new engine and a new device are one file each: made-up ones are registered, and everything answers for them."""

from collections.abc import Iterator

import jsonschema
import pytest
import yaml
from llm_serving_planner.base.errors import DoesNotFitError, InputError
from llm_serving_planner.engines import registry as engines
from llm_serving_planner.hardware import profiles
from llm_serving_planner.hardware.profiles import GpuProfile, parse_profile
from llm_serving_planner.logs import lines
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.output.render import render_values
from llm_serving_planner.output.report import text_report
from llm_serving_planner.output.schema import load_schema
from llm_serving_planner.planner.devices import registry as devices
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.ways_out import ways_out
from support.acme_device import PROFILE, Acme
from support.acme_engine import Rocket

L4 = parse_profile("2xl4")
CASES = ((Options(engine="rocket"), L4), (Options(), PROFILE), (Options(engine="rocket"), PROFILE))


@pytest.fixture(autouse=True)
def _acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both registered through the public functions; the registries are the old ones afterwards."""
    monkeypatch.setattr(engines, "_ENGINES", dict(engines._ENGINES))
    monkeypatch.setattr(devices, "_DEVICES", dict(devices._DEVICES))
    monkeypatch.setattr(profiles, "PLANNED_VENDORS", set(profiles.PLANNED_VENDORS))
    engines.register(Rocket())
    devices.register(Acme())


def model() -> ModelSpec:
    found = embedded.find("mistralai/Mistral-7B-Instruct-v0.2")
    assert found is not None
    return found


def problems(text: str) -> Iterator[str]:
    """Paths of a values document that the schema refuses."""
    for error in jsonschema.Draft202012Validator(load_schema()).iter_errors(yaml.safe_load(text)):
        yield "/".join(map(str, error.absolute_path))


@pytest.mark.parametrize(("options", "profile"), CASES)
def test_plan_values_report_and_budget(options: Options, profile: GpuProfile) -> None:
    plan = make_plan(model(), profile, options)
    assert plan.to_dict()["engine"]["type"] == options.engine
    assert plan.resources.startup.budget >= 600
    text = render_values(plan)
    # The chart knows its engines by the enum of engine.type: a new one is new there, and nothing else is.
    assert list(problems(text)) == (["engine/type"] if options.engine == "rocket" else [])
    assert yaml.safe_load(text)["startup"]["budgetSeconds"] == plan.resources.startup.budget
    assert text_report(plan).startswith(f"Mistral-7B-Instruct-v0.2 on {profile.name} (")


def made(options: Options, profile: GpuProfile = L4) -> Plan:
    return make_plan(model(), profile, options)


def test_what_the_engine_says_is_in_the_values_and_the_report() -> None:
    plan = made(Options(engine="rocket", max_num_seqs=8))
    values = yaml.safe_load(render_values(plan))
    assert values["engine"]["image"] == {"registry": "registry.example.com", "repository": "acme/rocket", "tag": "7.1"}
    assert values["engine"]["args"] == {"context": plan.settings.max_model_len, "lanes": 8, "fuel": 0.9}
    text = render_values(plan)
    assert "    # the model's whole context;" in text
    assert "    # as asked for\n    lanes: 8" in text
    assert "    # share of the memory that may be burnt\n    fuel: 0.9" in text
    assert "servedName" not in values["model"]
    report = text_report(plan)
    assert "Rocket 7.1, tensor parallel 2" in report
    assert "  attention thrust: its only one" in report
    assert "  assumed   no start-up of Rocket 7.1 was measured: terms are upper bounds" in report
    assert "  assumed   Rocket's image exists" in report
    assert "  note      Rocket is made up" in report


def test_what_the_device_says_is_in_the_values_and_the_report() -> None:
    plan = made(Options(), PROFILE)
    values = yaml.safe_load(render_values(plan))
    assert values["engine"]["image"]["repository"] == "acme/vllm-anvil"
    assert values["gpu"] == {
        "resourceName": "acme.example.com/anvil",
        "product": "ACME Anvil",
        "nodeSelector": {"acme.example.com/product": "anvil"},
        "tolerations": [{"key": "acme.example.com/anvil", "operator": "Exists", "effect": "NoSchedule"}],
    }
    assert "  # label of ACME's own labeller\n  nodeSelector:" in render_values(plan)
    assert "  attention hammer: vLLM on anvils" in text_report(plan)
    assert "  note      the node needs ACME's driver" in text_report(plan)
    alone = made(Options(tensor_parallel_size=1), GpuProfile("1xanvil", 1, 1, PROFILE.gpu, "none", exact_count=True))
    assert "# one anvil\nparallelism:" in render_values(alone)


def test_options_and_refusals() -> None:
    assert engines.names() == ("vllm", "tgi", "tgis", "rocket")
    for options, text in (
        (Options(engine="comet"), "--engine is 'comet': one of vllm, tgi, tgis, rocket is expected"),
        (Options(engine="rocket", engine_version="8.0"), "Rocket 8.0 is not known: 7.1 is"),
        (Options(engine="rocket", lora=("a=b/c",)), "--lora is vLLM's, not Rocket's"),
        (Options(engine="rocket", served_name="x"), "--served-name: Rocket has one name"),
    ):
        with pytest.raises(InputError) as bad:
            made(options)
        assert str(bad.value) == text
    with pytest.raises(DoesNotFitError) as refused:
        made(Options(engine="rocket", kv_cache_dtype="fp8", data_parallel_size=2, language_model_only=True))
    assert "Rocket has no FP8 KV cache" in refused.value.reasons
    assert "Rocket has no data parallel: --replicas 2, or --engine vllm" in refused.value.reasons
    assert "--language-model-only is vLLM's: Rocket loads a checkpoint whole" in refused.value.reasons


def test_ways_out_end_with_the_engine_that_fits() -> None:
    quantised = embedded.find("Qwen/Qwen3-4B-AWQ")
    assert quantised is not None
    with pytest.raises(DoesNotFitError) as refused:
        make_plan(quantised, L4, Options(engine="rocket"))
    assert refused.value.reasons == ("Rocket does not read awq checkpoints",)
    assert "--engine vllm" in ways_out(quantised, L4, Options(engine="rocket"))


def test_its_log_is_recognised() -> None:
    assert lines.version("2026-11-29 Rocket 7.1 lifts off") == ("rocket", "7.1")
    assert lines.engine("rocket::pad ready") == "rocket"
    assert lines.engine("nothing peculiar") == ""
