"""The stand-in for TGIS ends where the real launcher ends, and serves what both clients expect."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from llm_serving_planner.base.errors import ServerError
from llm_serving_planner.clients.answer import Answer, Message, Sampling
from llm_serving_planner.clients.tgis import Tgis
from support.ports import unused_ports
from support.programs import STANDIN_TGIS, tgis_test


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a good launch, and the cache that download-weights fills."""
    http, grpc = unused_ports()
    found = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "hub"),
        "MODEL_NAME": "org/tiny", "PORT": str(http), "GRPC_PORT": str(grpc), "SHARD_UDS_PATH": str(tmp_path / "uds"),
        "STANDIN_LOAD_SECONDS": "0.3", "STANDIN_TOKEN_SECONDS": "0",
    }  # fmt: skip
    server = tmp_path / "text-generation-server"
    server.symlink_to(STANDIN_TGIS)
    words = [sys.executable, str(server), "download-weights", "org/tiny"]
    done = subprocess.run(words, env=found, capture_output=True, text=True, check=True)
    assert done.stdout == "done: download-weights org/tiny\n"
    return found


@pytest.fixture
def running(env: dict[str, str]) -> Iterator[dict[str, str]]:
    env |= {"NUM_SHARD": "1", "NUM_GPUS": "1", "MAX_SEQUENCE_LENGTH": "100", "MAX_NEW_TOKENS": "50"}
    process = subprocess.Popen([sys.executable, str(STANDIN_TGIS)], env=env, stdout=subprocess.PIPE, text=True)
    yield env
    process.terminate()
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == "serving org/tiny num_shard 1 max_sequence_length 100\nstopped\n"


def test_both_clients_talk_to_it(running: dict[str, str]) -> None:
    target = f"127.0.0.1:{running['GRPC_PORT']}"
    done = tgis_test(target)  # waits until the model is loaded
    assert done.stdout.splitlines()[-2:] == [
        "stream: 9 messages, 'word word word word word word word word' stop reason 1",
        "OK",
    ]
    client = Tgis(target)
    assert client.info() == {"max_sequence_length": 100, "max_new_tokens": 50}
    answer = Answer()
    for piece in client.answer([Message("user", "a b")], Sampling(max_tokens=3)):
        answer.take(piece)
    assert (answer.text, answer.finish_reason, answer.tokens) == ("word word word", "max_tokens", 3)
    for sampling, prompt, message in (
        (Sampling(max_tokens=51), "a", "max_new_tokens must be <= 50"),
        (Sampling(), "a " * 100, r"input tokens \(100\) plus prefix length \(0\) must be < 100"),
    ):
        with pytest.raises(ServerError, match=message):
            list(client.answer([Message("user", prompt)], sampling))
    with urllib.request.urlopen(f"http://127.0.0.1:{running['PORT']}/health") as response:
        assert response.status == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{running['PORT']}/metrics") as response:
        assert b"tgi_request_count" in response.read()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"NUM_GPUS": "2", "NUM_SHARD": "4"}, "NUM_GPUS and num_shard are set to different values (2 and 4)"),
        ({"NUM_SHARD": "0"}, "NUM_SHARD must be a positive integer"),
        ({"TRANSFORMERS_CACHE": "/x"}, "TRANSFORMERS_CACHE and HF_HUB_CACHE env vars can't be set to different values"),
        ({"DTYPE": "float16", "DTYPE_STR": "float32"}, "dtype and dtype_str args both provided with different values"),
        ({"DTYPE_STR": "auto"}, "dtype 'auto' is none of"),
        ({"MODEL_NAME": "org/other"}, "Model org/other not found"),
        ({"REVISION": "v2"}, "Config file not found in local cache for model org/tiny, revision v2"),
        ({"CUDA_PROCESS_MEMORY_FRACTION": "1.5"}, "must be in range 0 < x <= 1"),
    ],
)
def test_what_ends_the_launcher_ends_it(env: dict[str, str], changes: dict[str, str], message: str) -> None:
    words = [sys.executable, str(STANDIN_TGIS)]
    done = subprocess.run(words, env=env | changes, capture_output=True, text=True, check=False)
    assert done.returncode == 101
    assert message in done.stderr


def test_a_folder_is_a_model(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_positions": 1024}')
    code = (
        "import runpy, sys\n"
        "module = runpy.run_path(sys.argv[1])\n"
        "print(*module['check_environment'](), module['LIMITS']['sequence'])\n"
    )
    changes = {"MODEL_NAME": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0,1"}
    words = [sys.executable, "-c", code, str(STANDIN_TGIS)]
    done = subprocess.run(words, env=env | changes, capture_output=True, text=True, check=False)
    assert done.stdout == f"{tmp_path} 2 1024\n", done.stderr
