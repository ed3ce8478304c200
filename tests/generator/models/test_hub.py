"""The real huggingface_hub client against a server that speaks the hub's API, good days and bad."""

import itertools
import json
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from llm_serving_planner.base.errors import (
    HubError,
    HubUnreachableError,
    InputError,
    LlmServingError,
    UnsupportedModelError,
)
from llm_serving_planner.models import hub as hub_module
from llm_serving_planner.models.offline import is_offline
from llm_serving_planner.models.resolve import resolve, spec_of
from support.fake_hub import SHA, FakeHub, FakeModel, safetensors
from support.tiny import CONFIG, PARAMETERS, tensors


def fetch(model: str = "org/tiny", **options: Any) -> Any:
    return hub_module.fetch(model, sleep=lambda _: None, **options)


def test_config_headers_commit_and_gate_are_read(hub: FakeHub) -> None:
    checkpoint = fetch()
    assert checkpoint.revision == SHA
    assert checkpoint.gated is False
    assert checkpoint.source == "hub"
    assert checkpoint.config == CONFIG
    assert checkpoint.weights_bytes == 2 * PARAMETERS
    assert spec_of(checkpoint).weights.loaded_bytes == 2 * PARAMETERS


def test_weights_are_read_by_range_through_redirects(hub: FakeHub) -> None:
    fetch()
    assert any(path.startswith("/cdn/") for _, path in hub.requests)
    assert hub.ranges


def test_shards_are_counted_once_and_second_sets_not_at_all(hub: FakeHub) -> None:
    names = list(tensors())
    halves = [dict(list(tensors().items())[:5]), dict(list(tensors().items())[5:])]
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {name: f"model-0000{1 + (i >= 5)}-of-00002.safetensors" for i, name in enumerate(names)},
    }
    hub.models["org/shards"] = FakeModel(
        {
            "config.json": json.dumps(CONFIG).encode(),
            "model.safetensors.index.json": json.dumps(index).encode(),
            "model-00001-of-00002.safetensors": safetensors(halves[0]),
            "model-00002-of-00002.safetensors": safetensors(halves[1]),
            "consolidated.safetensors": b"x" * 5000,
            "pytorch_model.bin": b"x" * 5000,
            "original/model.safetensors": b"x" * 5000,
        }
    )
    assert fetch("org/shards").weights_bytes == 2 * PARAMETERS


def test_binaries_stand_in_where_there_is_no_safetensors(hub: FakeHub) -> None:
    files = {"config.json": json.dumps(CONFIG).encode(), "pytorch_model.bin": b"x" * 260000}
    hub.models["org/bin"] = FakeModel(files)
    checkpoint = fetch("org/bin")
    assert (checkpoint.tensors, checkpoint.weights_bytes) == (None, 260000)


def test_float32_checkpoints_load_at_half_their_size(hub: FakeHub) -> None:
    files = {
        "config.json": json.dumps({**CONFIG, "torch_dtype": "float32"}).encode(),
        "model.safetensors": safetensors(tensors(dtype="F32")),
    }
    hub.models["org/wide"] = FakeModel(files)
    spec = spec_of(fetch("org/wide"))
    assert spec.weights.loaded_bytes == 2 * PARAMETERS
    assert spec.weights.file_bytes >= 4 * PARAMETERS


def test_prediction_layers_and_second_heads_are_not_loaded(hub: FakeHub) -> None:
    files = {
        "config.json": json.dumps({**CONFIG, "tie_word_embeddings": True}).encode(),
        "model.safetensors": safetensors(tensors(layers=3)),
    }
    hub.models["org/mtp"] = FakeModel(files)
    assert spec_of(fetch("org/mtp")).weights.loaded_bytes == 2 * (PARAMETERS - 512 * 64)


def test_a_gated_model_wants_a_token_and_takes_it(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.models["org/tiny"].gated, hub.models["org/tiny"].token = True, "hf_secret"
    with pytest.raises(HubError, match="org/tiny is gated") as refused:
        fetch()
    assert refused.value.hint is not None
    assert "HF_TOKEN" in refused.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch().gated is True


def test_unknown_model_revision_and_file(hub: FakeHub) -> None:
    with pytest.raises(HubError, match="the hub has no model org/nothing"):
        fetch("org/nothing")
    with pytest.raises(HubError, match="org/tiny has no revision 'v9'"):
        fetch(revision="v9")
    del hub.models["org/tiny"].files["config.json"]
    with pytest.raises(HubError, match=r"org/tiny has no config\.json"):
        fetch()


@pytest.mark.parametrize("trouble", [429, 503, "cut"])
@pytest.mark.parametrize("where", ["/api/models/org/tiny", "/config.json"])
def test_passing_troubles_are_tried_again(hub: FakeHub, trouble: Any, where: str) -> None:
    hub.models["org/tiny"].statuses[where] = [trouble]
    assert fetch().weights_bytes == 2 * PARAMETERS


def test_lasting_troubles_end_as_unreachable(hub: FakeHub) -> None:
    hub.models["org/tiny"].statuses["/api/models/org/tiny"] = [503] * 50
    with pytest.raises(HubUnreachableError, match="cannot be reached"):
        fetch()


def test_a_pause_follows_the_servers_word(hub: FakeHub) -> None:
    hub.models["org/tiny"].statuses["/api/models/org/tiny"] = [429] * 50
    pauses: list[float] = []
    with pytest.raises(HubUnreachableError):
        hub_module.fetch("org/tiny", sleep=pauses.append)
    assert pauses == [0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [(b'{"hidden_size": 64,', "is not valid JSON"), (b"[1]", "holds a list"), (b"\xff\xfe", "JSON|UTF-8")],
)
def test_a_broken_config_is_said(hub: FakeHub, text: bytes, message: str) -> None:
    hub.models["org/tiny"].files["config.json"] = text
    with pytest.raises(HubError, match=message):
        fetch()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"num_hidden_layers": "two"}, "num_hidden_layers"),
        ({"hidden_size": -1}, "hidden_size"),
        ({"hidden_size": 4096, "num_hidden_layers": 32}, "hidden_size, num_hidden_layers"),
        ({"architectures": ["NewForCausalLM"]}, "architectures"),
        ({"architectures": None}, "architectures"),
        ({"quantization_config": {"quant_method": "magic"}}, "quantization_config.quant_method"),
        ({"torch_dtype": "int3"}, "torch_dtype"),
    ],
)
def test_a_config_that_lies_is_refused_by_field(hub: FakeHub, change: dict[str, Any], field: str) -> None:
    hub.models["org/tiny"].files["config.json"] = json.dumps({**CONFIG, **change}).encode()
    with pytest.raises(UnsupportedModelError) as refused:
        spec_of(fetch())
    assert refused.value.field == field


def test_only_gguf_is_refused(hub: FakeHub) -> None:
    hub.models["org/gguf"] = FakeModel({"config.json": json.dumps(CONFIG).encode(), "m.gguf": b"GGUF"})
    with pytest.raises(HubError, match="only GGUF"):
        fetch("org/gguf")


def test_without_a_hub_the_catalogue_answers_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hub_module, "_PAUSE_SECONDS", 0.0)
    told: list[str] = []
    spec = resolve("mistralai/Mistral-7B-Instruct-v0.2", tell=told.append)
    assert spec.source == "catalogue"
    assert "embedded catalogue" in told[0]
    with pytest.raises(HubError, match="the embedded catalogue has no org/tiny"):
        resolve("org/tiny")


def test_the_cache_serves_offline(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import hf_hub_download

    for name in hub.models["org/tiny"].files:
        hf_hub_download("org/tiny", name, endpoint=hub.url)
    checkpoint = fetch(offline=True)
    assert (checkpoint.source, checkpoint.revision) == ("cache", SHA)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = len(hub.requests)
    assert resolve("org/tiny").weights.loaded_bytes == 2 * PARAMETERS
    assert len(hub.requests) == before


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_each_variable_keeps_everything_offline(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """In every spelling that huggingface_hub knows: no request, no retry, one sentence."""
    for word in ("1", "ON", "YES", "TRUE", "on", "Yes", "true"):
        monkeypatch.setenv(variable, word)
        with pytest.raises(HubError, match=r"^offline, and the Hugging Face cache has no org/tiny; and the embedded"):
            resolve("org/tiny")
        with pytest.raises(HubError, match=r"^offline, and the Hugging Face cache has no adapter_config\.json of "):
            hub_module.read_file("org/tiny", "adapter_config.json", revision=None, progress=print)
    assert not hub.requests


def test_the_environment_means_what_it_means_to_huggingface_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("", "0", "1", "2", "no", "yes", "On", "TRUE")
    code = (
        "import importlib, itertools, os\nfrom huggingface_hub import constants\n"
        f"for hub, transformers in itertools.product({words!r}, repeat=2):\n"
        "    os.environ.update(HF_HUB_OFFLINE=hub, TRANSFORMERS_OFFLINE=transformers)\n"
        "    print(int(importlib.reload(constants).HF_HUB_OFFLINE))\n"
    )
    theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    for (hub_offline, transformers_offline), expected in zip(itertools.product(words, repeat=2), theirs, strict=True):
        monkeypatch.setenv("HF_HUB_OFFLINE", hub_offline)
        monkeypatch.setenv("TRANSFORMERS_OFFLINE", transformers_offline)
        assert is_offline() is (expected == "1"), (hub_offline, transformers_offline)
        assert is_offline(asked=True)


def test_a_long_error_is_cut_between_words() -> None:
    text = hub_module._one_line(ValueError("word " * 60))
    assert len(text) <= 160
    assert text.endswith(" word ...")


def test_a_folder_is_read(folder: Path) -> None:
    checkpoint = fetch(str(folder))
    assert (checkpoint.source, checkpoint.model_id) == ("folder", "tiny")
    assert checkpoint.weights_bytes == 2 * PARAMETERS


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("config.json", b"{", "not valid JSON"),
        ("model.safetensors", b"\x01", "cut short"),
        ("model.safetensors", b"\xff" * 8 + b"x", "not a safetensors file"),
        ("model.safetensors", b"\x10" + b"\0" * 7 + b"{}", "cut short"),
    ],
)
def test_broken_files_of_a_folder_are_named(folder: Path, file: str, data: bytes, message: str) -> None:
    (folder / file).write_bytes(data)
    with pytest.raises(InputError, match=message):
        fetch(str(folder))


@pytest.mark.parametrize("name", ["a b", "../x/y", "", "a/b/c", "org/..", "-x"])
def test_malformed_names_never_reach_the_network(hub: FakeHub, name: str) -> None:
    with pytest.raises(InputError):
        fetch(name)
    assert not hub.requests


# --- slow, endless and wrong answers


@pytest.mark.parametrize("trouble", ["hang", "dribble", "endless", "later"])
@pytest.mark.parametrize("where", ["/api/models/org/tiny", "/config.json", "/model.safetensors"])
def test_no_answer_is_waited_for_without_end(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, trouble: str, where: str
) -> None:
    """One deadline for all that one model is asked for, whatever the client would do by itself."""
    monkeypatch.setattr(hub_module, "TOTAL_SECONDS", 1.0 if trouble in {"hang", "dribble"} else 30.0)
    monkeypatch.setattr(hub_module, "_SILENCE_SECONDS", 0.5 if trouble == "hang" else 10.0)
    monkeypatch.setattr(hub_module, "_MOST_ANSWER", 1_000_000)
    hub.models["org/tiny"].statuses[where] = [trouble] * 99
    started = time.monotonic()
    with pytest.raises(HubError) as refused:
        fetch()
    assert time.monotonic() - started < 25
    assert "\n" not in str(refused.value)
    if trouble == "endless":
        assert "the hub answers with more than 1,000,000 bytes" in str(refused.value)
    if trouble == "later":
        assert "HTTP 429 and asks to wait 86400 s" in str(refused.value)


def test_sizes_are_known_before_anything_is_downloaded(hub: FakeHub) -> None:
    hub.models["org/tiny"].sizes["config.json"] = 10**12
    with pytest.raises(HubError, match=r"config.json of org/tiny has 1,000,000,000,000 bytes; at most 8,388,608"):
        fetch()
    assert not [path for _, path in hub.requests if path.endswith("config.json")]


@pytest.mark.parametrize(
    "answer",
    [
        b"[]", b"null", b'"x"', b"{", b"[" * 100_000, b'{"id": 5, "sha": "x"}', b'{"siblings": ["x"]}',
        b'{"id": "org/tiny", "siblings": [{"rfilename": 5, "size": "x"}]}', b'{"id": "org/tiny", "siblings": 5}',
        b'{"id": "a\\nb: c", "sha": "0123456789abcdef0123456789abcdef01234567", "siblings": []}',
        b'{"id": "org/tiny", "sha": "../../x", "siblings": []}', b'{"id": NaN}', b"\xff\xfe",
    ],
)  # fmt: skip
def test_what_the_hub_says_of_a_model_in_another_shape(hub: FakeHub, answer: bytes) -> None:
    hub.models["org/tiny"].statuses["/api/models/org/tiny"] = [answer] * 9
    with pytest.raises(HubError, match="understood"):
        fetch()


@pytest.mark.parametrize(
    "header",
    [
        {"w": {"dtype": "BF16", "shape": [2], "data_offsets": ["0", "4"]}}, {"w": {"dtype": 5}}, {"w": []},
        {"w": {"dtype": "BF16", "shape": "x", "data_offsets": [0, 4]}}, {"w": {"shape": [1], "data_offsets": [4, 0]}},
        {"w": {"dtype": "BF16", "shape": [1], "data_offsets": [4, 0]}}, {"__metadata__": 5, "w": 5},
    ],
)  # fmt: skip
def test_headers_in_another_shape(hub: FakeHub, tmp_path: Path, header: Any) -> None:
    raw = json.dumps(header).encode()
    file = struct.pack("<Q", len(raw)) + raw + b"\0" * 64
    hub.models["org/tiny"].files["model.safetensors"] = file
    with pytest.raises(LlmServingError):
        fetch()
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").write_bytes(file)
    with pytest.raises(InputError, match=r"has no usable header|no safetensors|holds a"):
        fetch(str(tmp_path))


@pytest.mark.parametrize(
    ("index", "problem"),
    [
        ({"weight_map": ["x"]}, "/weight_map: .'x'. is not of type 'object'"),
        ({"weight_map": {}, "metadata": ["x"]}, "/metadata"),
        ({"weight_map": {"w": "../secret/x.safetensors"}}, "a file of the same folder is expected"),
        ({"weight_map": {"w": "/etc/passwd"}}, "a file of the same folder is expected"),
        ({"weight_map": {"w": 5}}, "a file of the same folder is expected"),
        ({"weight_map": {"w": "a\0b"}}, "a file of the same folder is expected"),
        ({"weight_map": {"w": "x"}, "metadata": {"total_size": "9"}}, "/metadata/total_size: '9' is not of type"),
        ([], "holds a list"),
    ],
)  # fmt: skip
def test_an_index_in_another_shape(tmp_path: Path, index: Any, problem: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(LlmServingError, match=problem):
        fetch(str(tmp_path))


def test_a_header_that_claims_more_than_there_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    for length in (3_000_000_000, 24_000_000):
        (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", length) + b"{}")
        with pytest.raises(InputError, match=r"not a safetensors file|is cut short"):
            fetch(str(tmp_path))


def test_the_clients_own_settings_stay_as_they_were(hub: FakeHub) -> None:
    fetch()
    from huggingface_hub import get_session

    assert get_session().event_hooks["response"] == []
