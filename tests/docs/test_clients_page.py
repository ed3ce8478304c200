"""docs/clients.md: the commands that need an engine are run against the stand-ins, times masked."""

import argparse
import http.server
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import scratch
from documents.blocks import Block, blocks
from support.helm import ROOT
from support.ports import unused_ports
from support.programs import STANDIN_TGIS

pytestmark = pytest.mark.slow

HERE = f"tests/docs/{Path(__file__).name}"
BLOCKS = [block for block in blocks(ROOT / "docs" / "clients.md") if HERE in (block.reason or "")]
TIMES = re.compile(r"\d+(?:\.\d+)?(?= ms| tokens/s)")


@pytest.fixture(scope="module")
def openai() -> Iterator[str]:
    """The cluster tests' stand-in for vLLM, in this process."""
    folder = ROOT / "tests" / "cluster" / "engine"
    spec = importlib.util.spec_from_file_location("standin", folder / "engine.py")
    assert spec is not None
    assert spec.loader is not None
    engine = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(engine)
    finally:
        sys.path.remove(str(folder))
    engine.Handler.options = argparse.Namespace(names=["mistral"], adapters={}, pools=False, max_model_len="1024")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), engine.Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def tgis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The stand-in for TGIS, a process of its own."""
    home = tmp_path_factory.mktemp("tgis")
    web, port = unused_ports()
    env = {
        "PATH": os.environ["PATH"], "HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "MODEL_NAME": "org/tiny",
        "PORT": str(web), "GRPC_PORT": str(port), "SHARD_UDS_PATH": str(home / "uds"), "STANDIN_LOAD_SECONDS": "0",
        "NUM_SHARD": "1", "NUM_GPUS": "1", "MAX_SEQUENCE_LENGTH": "100", "MAX_NEW_TOKENS": "50",
    }  # fmt: skip
    loader = home / "text-generation-server"
    loader.symlink_to(STANDIN_TGIS)
    subprocess.run([sys.executable, str(loader), "download-weights", "org/tiny"], env=env, check=True)
    process = subprocess.Popen([sys.executable, str(STANDIN_TGIS)], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving ")
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.communicate(timeout=20)


def test_blocks_are_found() -> None:
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_the_stand_in_is_answered_as_shown(block: Block, openai: str, tgis: str, tmp_path: Path) -> None:
    (command,) = block.commands
    shown_at = "127.0.0.1:8033" if "--protocol tgis" in command else "http://127.0.0.1:8000"
    at = tgis if "--protocol tgis" in command else openai
    typed = command.replace(shown_at, at) if shown_at in command else f"{command} --base-url {at}"
    (tmp_path / "tree").mkdir()
    done = scratch.run(typed, tmp_path / "tree", scratch.programs(tmp_path / "bin"))
    assert done.code == block.exit_code, done.printed
    assert TIMES.sub("N", done.printed.replace(at, shown_at)).strip() == TIMES.sub("N", block.shown)
