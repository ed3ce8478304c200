"""Every reader of what others write: whatever arrives ends with exit code 0 or 1, in bounded time and memory.

`make fuzz-inputs` draws 20,000 documents. A MisreadError, which would be exit code 1, counts as a bug here: the shape
asked too little.
"""

import contextlib
import functools
import json
import os
import resource
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzz.inputs import log_lines, texts
from helm_python import Chart, HelmError, values_from_yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from llm_serving_planner.base import shapes
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.base.errors import LlmServingError
from llm_serving_planner.cluster import checks, kubectl
from llm_serving_planner.models import hub as hub_module
from llm_serving_planner.output.schema import validate
from support.command import MISTRAL, run
from support.configs import CASES
from support.fake_engine import DONE, END, FakeEngine, Reply, chunk, stream
from support.fake_hub import SHA, FakeHub, FakeModel, safetensors
from support.helm import CHART, ROOT, in_process
from support.tiny import CONFIG, tensors

READERS = 16
DOCUMENTS = int(os.environ.get("LLM_SERVING_INPUTS", "160"))
MOST_SECONDS, MOST_MEMORY = 10.0, 500 * 1024  # KiB
SETTINGS = settings(
    max_examples=-(-DOCUMENTS // READERS),
    derandomize=DOCUMENTS <= 160,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=set(Phase) - {Phase.explain, Phase.shrink},
)
CONFIGS = [CONFIG, *({"architectures": [name], **case[0]} for name, case in CASES.items())]
QUANTIZED = [
    {"quant_method": "gptq", "bits": 4, "group_size": 128},
    {"quant_method": "awq", "bits": 4, "group_size": 128},
    {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    {"quant_method": "bitsandbytes", "load_in_4bit": True},
    {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"},
    {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {
            "group_0": {"weights": {"type": "int", "num_bits": 4, "group_size": 128}, "input_activations": None}
        },
    },
]
CONFIGS += [{**CONFIG, "quantization_config": block} for block in QUANTIZED]
CONFIGS += [{**CONFIG, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}}]
HEADER = {
    "__metadata__": {"format": "pt"},
    **{
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 2 * shape[0]]}
        for name, (dtype, shape) in tensors().items()
    },
}
INDEX = {"metadata": {"total_size": 260_000}, "weight_map": {"w": "a.safetensors", "v": "b.safetensors"}}
INFO = {
    "id": "org/tiny",
    "modelId": "org/tiny",
    "sha": SHA,
    "gated": False,
    "private": False,
    "tags": [],
    "downloads": 0,
    "likes": 0,
    "siblings": [{"rfilename": "config.json", "size": 300}, {"rfilename": "model.safetensors", "size": 9000}],
}
PROFILE = {
    "nodes": 1,
    "gpusPerNode": 2,
    "link": "nvlink",
    "node": {"cpu": 32, "memoryGiB": 128},
    "gpu": {
        "name": "Made Up",
        "usableMemoryGiB": 79.2,
        "computeCapability": "9.0",
        "bandwidthGBs": 3000,
        "resourceName": "nvidia.com/gpu",
        "productLabel": "NVIDIA-X",
    },
}
VALUES = [yaml.safe_load(path.read_text()) or {} for path in sorted((CHART / "ci").glob("*-values.yaml"))]
FILES = [path for path in sorted((ROOT / "values").glob("*.yaml")) if path.name != "catalog.yaml"]
PLANNED = yaml.safe_load(FILES[0].read_text())
VALUES.append(PLANNED)
LOGS = [
    line for entry in yaml.safe_load((ROOT / "tests/data/logs.yaml").read_text()) for line in entry["log"].splitlines()
]
RECORDED = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "tests/data/cluster").glob("*.json"))}
MACHINESETS = [
    document
    for path in sorted((ROOT / "tests/data/nodes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if isinstance(document, dict)
]
CATALOG = {
    "values": [{"name": "m", "model": MISTRAL, "profile": "2xt4", "about": "x", "options": {"max_model_len": 4096}}]
}
COMPLETION = {
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "x", "reasoning": "y"}, "finish_reason": None}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    server = FakeHub()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class SlippedThroughError(Exception):
        """A shape that `shapes.json` lets through and no reader understands."""

    monkeypatch.setattr(shapes, "MisreadError", SlippedThroughError)
    monkeypatch.setattr(hub_module, "TOTAL_SECONDS", 5.0)
    monkeypatch.setattr(hub_module, "_PAUSE_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)


@contextlib.contextmanager
def judged(what: Any) -> Iterator[list[Any]]:
    """Runs of commands that end as they may; the memory is that of the whole process, tests included."""
    started, found = time.monotonic(), list[Any]()
    yield found
    seconds = time.monotonic() - started
    for done in found:
        assert done.returncode in {0, 1}, (what, done.stderr)
        assert "Traceback" not in done.stderr
        assert not set(done.stdout + done.stderr) & {chr(n) for n in range(32) if n not in (9, 10)}, (what, done.stderr)
        if done.returncode == 1 and done.args[1] not in {"check", "preflight"}:
            assert done.stderr.count("error: ") >= 1
    assert seconds < MOST_SECONDS, (what, seconds)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MOST_MEMORY, what


def folder(config: bytes | Any = None, **files: bytes) -> str:
    place = Path("model")
    place.mkdir(exist_ok=True)
    for path in place.iterdir():
        path.unlink()
    (place / "config.json").write_bytes(config if isinstance(config, bytes) else json.dumps(config or CONFIG).encode())
    for name, raw in files.items():
        (place / name.replace("__", ".")).write_bytes(raw)
    return "./model"


def planned(model: str, *words: str) -> Any:
    return run("plan", model, "--profile", "2xh100", *words)


@SETTINGS
@given(texts(CONFIGS))
def test_config(raw: bytes) -> None:
    with judged(raw) as runs:
        runs.append(planned(folder(raw, model__safetensors=safetensors(tensors()))))


@SETTINGS
@given(texts(QUANTIZED))
def test_quantisation_beside_the_config(raw: bytes) -> None:
    with judged(raw) as runs:
        runs.append(planned(folder(quantize_config__json=raw, model__safetensors=safetensors(tensors()))))


@SETTINGS
@given(texts([HEADER]), st.sampled_from([0, 0, 0, 0, 1, -1, 10**7, 3 * 10**9, 2**63]))
def test_header(raw: bytes, off: int) -> None:
    length = max(len(raw) + off, 0) % 2**64
    with judged(raw) as runs:
        runs.append(planned(folder(model__safetensors=struct.pack("<Q", length) + raw)))


@SETTINGS
@given(texts([INDEX]))
def test_index(raw: bytes) -> None:
    with judged(raw) as runs:
        runs.append(planned(folder(model__safetensors__index__json=raw, a__safetensors=safetensors(tensors()))))


@SETTINGS
@given(texts([INFO]), texts(CONFIGS), texts([HEADER]), st.integers(0, 2))
def test_hub(hub: FakeHub, info: bytes, config: bytes, header: bytes, which: int) -> None:
    model = hub.models["org/tiny"] = FakeModel(
        {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": safetensors(tensors())}
    )
    if which == 0:
        model.statuses["/api/models/org/tiny"] = [info] * 9
    elif which == 1:
        model.files["config.json"] = config
    else:
        model.files["model.safetensors"] = struct.pack("<Q", len(header)) + header
    with judged((info, config, header)[which]) as runs:
        runs.append(_asked(hub, "org/tiny"))


def _asked(hub: FakeHub, model: str, *words: str) -> Any:
    return run(
        "plan", model, "--profile", "2xh100", *words, HF_ENDPOINT=hub.url, HF_HOME="hub", HF_HUB_DISABLE_TELEMETRY="1"
    )


@SETTINGS
@given(texts([{"r": 8, "rank_pattern": {"q": 4}, "use_dora": False}]))
def test_adapter(hub: FakeHub, raw: bytes) -> None:
    hub.models["org/lora"] = FakeModel({"adapter_config.json": raw})
    with judged(raw) as runs:
        runs.append(
            run(
                "plan",
                folder(model__safetensors=safetensors(tensors())),
                "--profile",
                "2xh100",
                "--lora",
                "a=org/lora",
                HF_ENDPOINT=hub.url,
                HF_HOME="hub",
            )
        )


@SETTINGS
@given(texts([PROFILE, {"gpusPerNode": 2, "gpu": "t4"}], as_yaml=True))
def test_profile(raw: bytes) -> None:
    Path("p.yaml").write_bytes(raw)
    with judged(raw) as runs:
        runs.append(run("plan", MISTRAL, "--profile", "p.yaml", "--offline"))


@SETTINGS
@given(texts(VALUES, as_yaml=True))
def test_values(raw: bytes) -> None:
    """The same verdict as Helm's, but for what is deeper or longer than any values file."""
    Path("v.yaml").write_bytes(raw)
    with judged(raw) as runs:
        runs.append(run("validate", "v.yaml"))
    with contextlib.suppress(UnicodeDecodeError):
        ours, helms = _ours(), _helms(raw.decode())
        if "nests deeper" not in ours and helms != _EMPTY:  # `validate` wants something to judge
            assert bool(ours) == bool(helms), (raw, ours, helms)


_EMPTY = "empty"


def _ours() -> str:
    try:
        validate(load_values(Path("v.yaml"), lambda _: None), "v.yaml")
    except LlmServingError as error:
        return str(error)
    return ""


def _helms(text: str) -> str:
    """Why Helm refuses the document before it renders; empty where it does not."""
    try:
        values = values_from_yaml(text)
        if not values:
            return _EMPTY
        _chart().validate_schema(_chart().merge_values(values))
    except HelmError as error:
        return str(error)
    return ""


@functools.cache
def _chart() -> Any:
    return Chart.load(str(CHART))


@SETTINGS
@given(texts([PLANNED, PLANNED["plan"], {"data": {"plan.yaml": yaml.safe_dump(PLANNED["plan"])}}], as_yaml=True))
def test_plan_file(raw: bytes) -> None:
    Path("plan.yaml").write_bytes(raw)
    Path("log").write_text("\n".join(LOGS[:40]))
    with judged(raw) as runs:
        runs.append(run("check", "log", "--plan", "plan.yaml"))
        runs.append(
            run(
                "machineset",
                "--values",
                "plan.yaml",
                "--form",
                "karpenter",
                "--cluster-name",
                "c",
                "--node-role",
                "r",
                "--region",
                "us-east-1",
            )
        )


@SETTINGS
@given(log_lines(LOGS))
def test_log(raw: bytes) -> None:
    Path("log").write_bytes(raw)
    with judged(raw[:2000]) as runs:
        runs.append(run("check", "log", "--values", str(FILES[0])))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A kubectl that answers from this table, by the kind that is asked for."""
    table: dict[str, bytes] = {}

    def answer(_: Any, command: list[str], limit: float, text: str = "") -> tuple[int, str, str]:
        asked = command[2] if command[1] == "get" else command[1]
        kinds = [kind.split(".")[0] for kind in asked.split(",")]
        found = next((table[kind] for kind in kinds if kind in table), b'{"items": []}')
        return (
            (1, "", found.decode("utf-8", "replace"))
            if "forbidden" in table
            else (0, found.decode("utf-8", "replace"), "")
        )

    rendered = in_process(VALUES[0])
    monkeypatch.setattr(kubectl.Client, "_answer", answer)
    monkeypatch.setattr(checks, "render", lambda _: rendered)  # Helm is no stranger
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    return table


@SETTINGS
@given(st.sampled_from(sorted(RECORDED)).flatmap(lambda kind: st.tuples(st.just(kind), texts([RECORDED[kind]]))))
def test_cluster(answers: dict[str, bytes], drawn: tuple[str, bytes]) -> None:
    answers.clear()
    answers.update({kind: json.dumps(document).encode() for kind, document in RECORDED.items()})
    answers["api-versions"] = (ROOT / "tests/data/cluster/api-versions.txt").read_bytes()
    answers[drawn[0]] = drawn[1]
    Path("v.yaml").write_text(yaml.safe_dump(VALUES[0]))
    with judged(drawn) as runs:
        runs.append(run("preflight", "-f", "v.yaml"))
        runs.append(run("profiles", "--from-cluster"))


POD = {
    "metadata": {"name": "p-0", "labels": {"a": "b"}},
    "spec": {"containers": [{"name": "engine", "args": ["--max-model-len", "8192"]}]},
    "status": {
        "containerStatuses": [
            {
                "name": "engine",
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"reason": "OOMKilled"}},
            }
        ]
    },
}
PLAN_MAP = {"metadata": {"name": "m"}, "data": {"plan.yaml": yaml.safe_dump(PLANNED["plan"])}}


@SETTINGS
@given(texts([{"items": [POD]}]), texts([{"items": [PLAN_MAP]}]), log_lines(LOGS), st.integers(0, 2))
def test_release(answers: dict[str, bytes], pods: bytes, maps: bytes, log: bytes, which: int) -> None:
    answers.clear()
    answers.update(
        pods=json.dumps({"items": [POD]}).encode(),
        configmaps=json.dumps({"items": [PLAN_MAP]}).encode(),
        logs="\n".join(LOGS[:40]).encode(),
    )
    answers.update([("pods", pods), ("configmaps", maps), ("logs", log)][which : which + 1])
    with judged((pods, maps, log[:2000])[which]) as runs:
        runs.append(run("check", "--release", "m"))


@SETTINGS
@given(texts(MACHINESETS, as_yaml=True))
def test_machinesets(raw: bytes) -> None:
    Path("m.yaml").write_bytes(raw)
    with judged(raw) as runs:
        runs.append(run("machineset", "--profile", "g5.xlarge", "--cluster-facts", "m.yaml"))


@SETTINGS
@given(texts([CATALOG], as_yaml=True))
def test_catalog(raw: bytes) -> None:
    Path("c.yaml").write_bytes(raw)
    with judged(raw) as runs:
        runs.append(run("values", MISTRAL, "--profile", "2xt4", "--offline", "--catalog", "c.yaml"))


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    server = FakeEngine()
    yield server
    server.close()


@SETTINGS
@given(
    st.lists(
        st.one_of(texts([COMPLETION]), st.sampled_from([chunk("x"), END, DONE, b": ping\n\n", b"data", b"\n"])),
        max_size=4,
    ),
    texts([{"object": "list", "data": [{"id": "tiny"}]}]),
    texts([COMPLETION, {"error": {"message": "x"}}]),
    st.integers(0, 2),
)
def test_engine(engine: FakeEngine, blocks: list[bytes], models: bytes, whole: bytes, which: int) -> None:
    engine.replies["/v1/models"] = [Reply([models if which == 1 else b'{"data": [{"id": "tiny"}]}'])]
    events = [block if block.endswith(b"\n") else b"data: " + block + b"\n\n" for block in blocks]
    engine.chat(Reply([whole]) if which == 2 else stream(*[event for event in events if event]))
    with judged((blocks, models, whole)) as runs:
        runs.append(
            run("query", "Hi", "--base-url", engine.url, "--timeout", "3", *(["--no-stream"] if which == 2 else []))
        )
        runs.append(run("query", "Hi", "--base-url", engine.url, "--timeout", "3", "--format", "json"))


NAMES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["a\nb: c", "\x1b[2J", "\ud800", "y", "1e3", "~", "", "x" * 3000, "a: b", "#", "{", "--x"]),
)


@SETTINGS
@given(
    NAMES,
    st.sampled_from(
        ["--served-name", "--name", "--image", "--hf-token-secret", "--profile", "--revision", "--storage-name"]
    ),
)
def test_words(word: str, option: str) -> None:
    given = [] if option == "--profile" else ["--profile", "2xt4"]
    if "\x00" in word:
        return
    with judged((option, word)) as runs:
        done = run("values", MISTRAL, *given, "--offline", f"{option}={word}")
        if done.returncode != 2:  # refused by argparse
            runs.append(done)
