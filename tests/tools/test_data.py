"""tools/data: what is read from a made-up vLLM and from made-up configs, and how it joins the tables that are there."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from data import catalogue, vllm, vllm_flags, vllm_metrics, vllm_support
from llm_serving_planner.base.errors import InputError
from support.helm import ROOT

ARGUMENTS = """
@dataclass
class EngineArgs:
    model: str = ""

    @staticmethod
    def add_cli_args(parser):
        model_kwargs = get_kwargs(ModelConfig)
        group = parser.add_argument_group(title="ModelConfig")
        group.add_argument("--dtype", **model_kwargs["dtype"])
        group.add_argument("--max-model-len", "-l", **model_kwargs["max_model_len"])
        group.add_argument("--enforce-eager", **model_kwargs["enforce_eager"])
        group.add_argument("--hf-token", **model_kwargs["hf_token"])
        group.add_argument("--level", **{**model_kwargs["level"], "default": 1})
        group.add_argument("--cpus", **model_kwargs["cpus"])
        pooler_kwargs = model_kwargs["pooler"]
        group.add_argument("--pooler", **pooler_kwargs)
        model_kwargs["draft"]["type"] = optional_type(json.loads)
        group.add_argument("--draft", **model_kwargs["draft"])
        parser.add_argument("--ids", type=lambda text: [int(part) for part in text.split(",")])
        return parser


class AsyncEngineArgs(EngineArgs):
    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--enable-log-requests", action=argparse.BooleanOptionalAction)
        return parser


def human_readable(parser):
    parser.add_argument("--of-another-command", type=int)
"""
CONFIG = """
Kind = Literal["a", "b"]


class Level(IntEnum):
    LOW = 0


@config
class Pooler:
    size: int = 1


@config
class ModelConfig:
    shared: ClassVar[int] = 1
    dtype: Kind | None = None
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    enforce_eager: bool = False
    hf_token: bool | str | None = None
    level: Level = Level.LOW
    cpus: list[int] | None = None
    pooler: "Pooler | None" = None
    draft: Any = None
"""
FRONTEND = """
@config
class BaseFrontendArgs:
    host: str | None = None
    origins: list[str] = field(default_factory=lambda: ["*"])

    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        frontend_kwargs["origins"]["type"] = json.loads


@config
class FrontendArgs(BaseFrontendArgs):
    uds: list[int | str] | None = None


def make_arg_parser(parser):
    parser.add_argument("model_tag", type=str, nargs="?")
    parser.add_argument("--headless", action="store_true", default=False)
    parser.add_argument("--api-server-count", "-asc", type=int, default=None)
"""
KINDS = {
    "api-server-count": "int", "cpus": "int", "draft": "json", "dtype": "str", "enable-log-requests": "bool",
    "enforce-eager": "bool", "headless": "bool", "hf-token": "str", "host": "str", "ids": "str", "level": "int",
    "max-model-len": "int", "origins": "json", "pooler": "json", "uds": "str",
}  # fmt: skip
FILES = {
    "engine/arg_utils.py": ARGUMENTS,
    "entrypoints/common/cli_args.py": FRONTEND,
    "config/model.py": CONFIG,
    "tool_parsers/__init__.py": '_TOOL_PARSERS_TO_REGISTER = {"hermes": ("hermes", "Hermes"), "granite": ("g", "G")}',
    "reasoning/__init__.py": '_REASONING_PARSERS_TO_REGISTER: dict = {"qwen3": ("qwen3", "Qwen3")}',
    "model_executor/models/registry.py": '_TEXT = {"LlamaForCausalLM": ("llama", "LlamaForCausalLM")}',
    "model_executor/models/llama.py": "class Base(SupportsLoRA):\n    embedding_modules = {'embed_tokens': 'input'}\n\n"
    "class LlamaForCausalLM(Base, SupportsEagle3):\n    pass\n",
    "v1/metrics/loggers.py": 'a = Counter(name="vllm:prompt_tokens")\nb = Histogram(name="other:x")\n'
    'c = self._gauge_cls(name="vllm:num_requests_running")\n',
}  # fmt: skip
TABLE = {
    "date": "2026-01-01", "newest": "0.2.0", "versions_compared": ["0.1.0", "0.2.0"],
    "flags": {
        "back": {"from": None, "until": "0.1.0", "kind": "str"},
        "gone": {"from": None, "until": "0.1.0", "kind": "str"},
        "kept": {"from": None, "kind": "str"},
        "lost": {"from": "0.2.0", "kind": "int"},
    },
}  # fmt: skip


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "vllm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "vllm"


def test_kinds_follow_from_annotations(package: Path) -> None:
    assert vllm_flags.read(package) == KINDS


def test_a_flag_without_a_field_is_no_guess(package: Path) -> None:
    path = package / "config" / "model.py"
    path.write_text(path.read_text().replace("dtype: Kind", "other: Kind"))
    with pytest.raises(InputError, match="--dtype"):
        vllm_flags.read(package)


def test_parsers_classes_and_metrics(package: Path) -> None:
    assert vllm_support.read(package) == {
        "tool_parsers": ["granite", "hermes"], "reasoning_parsers": ["qwen3"], "lora": ["LlamaForCausalLM"],
        "lora_embeddings": ["LlamaForCausalLM"], "eagle3": ["LlamaForCausalLM"],
    }  # fmt: skip
    assert vllm_metrics.read(package) == {"vllm:num_requests_running": "gauge", "vllm:prompt_tokens_total": "counter"}


def test_a_newer_version_joins_the_table() -> None:
    found = vllm_flags.merged(TABLE, "0.3.0", {"kept": "str", "back": "int", "new": "bool"})
    assert (found["newest"], found["versions_compared"]) == ("0.3.0", ["0.1.0", "0.2.0", "0.3.0"])
    assert found["flags"] == {
        "back": {"from": "0.3.0", "kind": "int"},
        "gone": {"from": None, "until": "0.1.0", "kind": "str"},
        "kept": {"from": None, "kind": "str"},
        "lost": {"from": "0.2.0", "until": "0.2.0", "kind": "int"},
        "new": {"from": "0.3.0", "kind": "bool"},
    }


def test_the_newest_version_read_again_changes_nothing() -> None:
    assert vllm_flags.merged(TABLE, "0.2.0", {"kept": "str", "lost": "int"}) == TABLE


def test_an_older_version_does_not_rewrite_history() -> None:
    with pytest.raises(InputError, match=r"0\.1\.0 is older than its newest version, 0\.2\.0"):
        vllm_flags.merged(TABLE, "0.1.0", {})


def test_the_committed_tables_are_written_as_they_stand() -> None:
    text = vllm.FLAGS.read_text()
    assert vllm_flags.text_of(json.loads(text)) == text


def data(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    command = [sys.executable, "-m", "data", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_wheel_is_shown_and_nothing_written(package: Path, tmp_path: Path) -> None:
    before = [path.read_bytes() for path in (vllm.FLAGS, vllm.SUPPORT, vllm.METRICS)]
    wheel = tmp_path / "vllm-99.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in FILES:
            archive.write(package / name, f"vllm/{name}")
    done = data("refresh", "vllm", "99.0.0", "--wheel", str(wheel), "--check")
    assert done.returncode == 1, done.stderr
    assert '+    "headless": ' not in done.stdout
    assert '+    "origins": {"from": "99.0.0", "kind": "json"},' in done.stdout
    assert done.stderr == "0 of 3 tables are as they were\n"
    assert [path.read_bytes() for path in (vllm.FLAGS, vllm.SUPPORT, vllm.METRICS)] == before


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_text("no")
    done = data("refresh", "vllm", "99.0.0", "--wheel", str(tmp_path / "x.whl"))
    assert done.returncode == 2
    assert "x.whl" in done.stderr


LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 1000,
    "max_position_embeddings": 2048, "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """Two models of made-up size, one of an unknown class."""
    with catalogue.FACTS.open(newline="") as handle:
        columns = csv.DictReader(handle).fieldnames
    assert columns is not None
    rows = [
        {
            "hf_id": "org/small",
            "gated": "no",
            "params_text_formula": "200000",
            "kv_bytes_per_token_16bit_all_layers": "256",
        },
        {"hf_id": "org/odd", "gated": "unknown"},
    ]
    for row, config in zip(rows, (LLAMA, {**LLAMA, "architectures": ["OddForCausalLM"]}), strict=True):
        (tmp_path / f"{row['hf_id'].replace('/', '__')}.json").write_text(json.dumps(config))
    with (tmp_path / "facts.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "facts.csv"


def test_the_catalogue_holds_derived_facts_and_refusals(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(catalogue.build(facts.parent, facts, "2030-01-01"))
    assert found["date"] == "2030-01-01"
    assert list(found["models"]) == ["org/small"]
    small = found["models"]["org/small"]
    assert small["weights"]["loaded_bytes"] == 400_000
    assert (small["hidden_size"], small["gated"], small["source"]) == (64, False, "catalogue")
    assert "OddForCausalLM" in found["refused"]["org/odd"]
    assert capsys.readouterr().err == "1 models, 1 refused\n"


def test_a_cache_that_the_table_knows_otherwise_is_told(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts.write_text(facts.read_text().replace(",256,", ",512,"))
    catalogue.build(facts.parent, facts, "2030-01-01")
    assert "differs: org/small: KV 256 bytes per token, table says 512" in capsys.readouterr().err


def test_a_model_without_config_is_named(facts: Path) -> None:
    (facts.parent / "org__odd.json").unlink()
    with pytest.raises(InputError, match="no config of 1 models: org/odd"):
        catalogue.build(facts.parent, facts, "2030-01-01")


def test_the_table_of_facts_and_the_catalogue_name_the_same_models() -> None:
    with catalogue.FACTS.open(newline="") as handle:
        listed = {row["hf_id"] for row in csv.DictReader(handle)}
    kept = json.loads(catalogue.TARGET.read_text())
    assert listed == {*kept["models"], *kept["refused"]}
