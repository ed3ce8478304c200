"""Drafts that are looked up on the hub before a plan, against a hub on this machine."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command import run
from support.fake_hub import SHA, FakeHub, FakeModel, safetensors
from support.helm import flags, in_process
from support.tiny import CONFIG, tensors

HEAD: dict[str, Any] = {
    "architectures": ["LlamaForCausalLMEagle3"], "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 512, "draft_vocab_size": 128,
}  # fmt: skip
WEIGHTS = safetensors({"fc.weight": ("BF16", [64, 192]), "midlayer.q.weight": ("BF16", [64, 128])})


def model(config: dict[str, Any], weights: bytes = WEIGHTS) -> FakeModel:
    return FakeModel(
        {"config.json": json.dumps(config).encode(), "model.safetensors": weights, "tokenizer.json": b"{}"}
    )


def test_a_head_is_pinned_sized_and_downloaded(tmp_path: Path, hub: FakeHub) -> None:
    hub.models["org/head"] = model(HEAD)
    words = ("org/tiny", "--profile", "1xt4", "--speculative", "eagle3:org/head")
    done = run("values", *words, cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    values = yaml.safe_load(done.stdout)
    assert values["engine"]["speculative"] == {"method": "eagle3", "tokens": 2, "id": "org/head", "revision": SHA}
    config = json.loads(flags(in_process(values))["--speculative-config"])
    assert config["model"] == f"/llm/models/adapters/org--head@{SHA}"
    told = json.loads(run("plan", *words, "--format", "json", cwd=tmp_path, HF_ENDPOINT=hub.url).stdout)
    assert told["use"]["speculative"]["head_bytes"] == 2 * 64 * (192 + 128)
    # two layers of the model and one of the head, 2 heads of 16 + 16 elements
    assert told["estimate"]["kv_per_request"] == 3 * 2 * 32 * 2 * told["settings"]["max_model_len"]


def test_a_head_in_the_speculators_format(tmp_path: Path, hub: FakeHub) -> None:
    nested = {key: value for key, value in HEAD.items() if key != "architectures"}
    hub.models["org/head"] = model({"architectures": ["Eagle3Speculator"], "transformer_layer_config": nested})
    done = run(
        "plan", "org/tiny", "--profile", "1xt4", "--speculative", "eagle3:org/head", cwd=tmp_path, HF_ENDPOINT=hub.url
    )
    assert done.returncode == 0, done.stderr
    assert "drafts    eagle3 org/head, 2 token(s) a step" in done.stdout


def test_a_small_model_drafts(tmp_path: Path, hub: FakeHub) -> None:
    hub.models["org/small"] = model({**CONFIG, "num_hidden_layers": 1}, safetensors(tensors(1)))
    words = ("org/tiny", "--profile", "1xt4", "--speculative", "draft_model:org/small", "--speculative-tokens", "3")
    done = run("values", *words, cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["engine"]["speculative"]["tokens"] == 3


@pytest.mark.parametrize(
    ("config", "method", "text"),
    [
        ({**HEAD, "hidden_size": 128}, "eagle3", "the head was made for a hidden size of 128, the model's is 64"),
        ({**CONFIG, "vocab_size": 640}, "draft_model", "the draft's vocabulary has 640 entries, the model's 512"),
    ],
)
def test_a_draft_for_another_model_is_refused(
    tmp_path: Path, hub: FakeHub, config: dict[str, Any], method: str, text: str
) -> None:
    sizes = tensors(2) | {"model.embed_tokens.weight": ("BF16", [640, 64]), "lm_head.weight": ("BF16", [640, 64])}
    hub.models["org/draft"] = model(config, safetensors(sizes))
    words = ("org/tiny", "--profile", "1xt4", "--speculative", f"{method}:org/draft")
    done = run("plan", *words, cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 4
    assert text in done.stderr


def test_a_draft_that_is_not_there_or_is_no_model(tmp_path: Path, hub: FakeHub) -> None:
    hub.models["org/empty"] = model({"architectures": ["X"]})
    empty = "error: --speculative eagle3:org/empty: config.json: num_attention_heads is None"
    for name, text in (("org/none", "error: the hub has no model org/none"), ("org/empty", empty)):
        words = ("org/tiny", "--profile", "1xt4", "--speculative", f"eagle3:{name}")
        done = run("plan", *words, cwd=tmp_path, HF_ENDPOINT=hub.url)
        assert done.returncode == 1
        assert text in done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_of_the_container_cannot_be_sized(tmp_path: Path, hub: FakeHub) -> None:
    words = ("org/tiny", "--profile", "1xt4", "--speculative", "eagle3:/llm/models/head")
    done = run("plan", *words, cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert "a folder of the container cannot be sized from here" in done.stderr


def test_a_gated_draft_asks_for_the_token(tmp_path: Path, hub: FakeHub) -> None:
    hub.models["org/head"] = model(HEAD)
    hub.models["org/head"].gated = True
    words = ("org/tiny", "--profile", "1xt4", "--speculative", "eagle3:org/head")
    done = run("values", *words, cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert "org/head, which drafts, is gated" in done.stderr
    assert run("values", *words, "--hf-token-secret", "hf", cwd=tmp_path, HF_ENDPOINT=hub.url).returncode == 0


def test_an_embedding_model_of_the_hub(tmp_path: Path, hub: FakeHub) -> None:
    bert = {key: value for key, value in CONFIG.items() if key != "num_key_value_heads"}
    hub.models["org/bert"] = model(
        {**bert, "architectures": ["BertModel"], "max_position_embeddings": 128},
        safetensors({"embeddings.word_embeddings.weight": ("F32", [512, 64]), "w": ("F32", [1100, 64])}),
    )
    done = run("values", "org/bert", "--profile", "1xt4", cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["model"]["task"] == "embed"


def adapter(config: dict[str, Any]) -> FakeModel:
    return FakeModel({"adapter_config.json": json.dumps(config).encode(), "adapter_model.safetensors": WEIGHTS})


def test_adapters_are_pinned_and_their_ranks_are_read(tmp_path: Path, hub: FakeHub) -> None:
    hub.models["org/a"], hub.models["org/b"] = adapter({"r": 8}), adapter({"r": 24})
    words = ("org/tiny", "--profile", "1xt4", "--lora", "a=org/a", "--lora", "b=org/b")
    done = run("values", *words, cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    told = yaml.safe_load(done.stdout)["engine"]["lora"]
    assert [entry["revision"] for entry in told["adapters"]] == [SHA, SHA]
    assert told["maxRank"] == 32
    assert "is not known: at most" not in done.stdout
    done = run("plan", *words, "--max-lora-rank", "16", cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert "error: --lora b: rank 24 is above the largest of the slots, 16" in done.stderr


@pytest.mark.parametrize(
    ("repository", "text"),
    [
        (None, "error: the hub has no model org/a"),
        (FakeModel({"README.md": b"x"}), "error: org/a has no adapter_config.json"),
        (adapter({"r": "8"}), "error: --lora a: adapter_config.json of org/a: /r: '8' is not of type 'integer'"),
        (adapter({"r": None}), "error: --lora a: adapter_config.json of org/a has r None, no rank"),
        (
            adapter({"r": 8, "use_dora": True}),
            "error: --lora a: org/a was made with use_dora, which vLLM does not serve",
        ),
        (FakeModel({"adapter_config.json": b"{"}), "error: adapter_config.json of org/a is not valid JSON"),
    ],
)
def test_adapters_that_are_none(tmp_path: Path, hub: FakeHub, repository: FakeModel | None, text: str) -> None:
    if repository is not None:
        hub.models["org/a"] = repository
    done = run("plan", "org/tiny", "--profile", "1xt4", "--lora", "a=org/a", cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert done.returncode == 1
    assert text in done.stderr


def test_no_speed_is_told_of_a_model_without_text(tmp_path: Path) -> None:
    bert = {key: value for key, value in CONFIG.items() if key != "num_key_value_heads"}
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text(json.dumps({**bert, "architectures": ["BertModel"]}))
    (tmp_path / "bert" / "model.safetensors").write_bytes(safetensors({"w": ("F32", [1612, 128])}))
    done = run("advise", "./bert", cwd=tmp_path)
    assert done.returncode == 1
    assert "error: bert writes no text (BertModel): its speed is not modelled" in done.stderr
