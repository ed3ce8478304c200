"""The download before the engine, as its pod runs it, against a hub on this machine."""

import fcntl
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.fake_hub import SHA, FakeHub, FakeModel
from support.programs import BARE, run_program


def weights(size: int = 4000) -> bytes:
    """A whole safetensors file."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(index % 251 for index in range(size))


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    server = FakeHub()
    files = {"config.json": b"{}", "tokenizer.json": b"[1]", "model.safetensors": weights(), "pytorch_model.bin": b"x"}
    server.models["org/tiny"] = FakeModel({**files, "original/consolidated.00.pth": b"y"})
    yield server
    server.close()


def download(
    hub: FakeHub, cache: Path, action: str = "fetch", seconds: float = 10, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    settings = {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HOME": str(cache.parent),
        "DOWNLOAD_MODEL": "org/tiny",
        "DOWNLOAD_CACHE": str(cache),
        "DOWNLOAD_SECONDS": str(seconds),
        "DOWNLOAD_PAUSE_SECONDS": "0.1",
    }
    return run_program("download.py", action, env={**settings, **(env or {})})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "hub"
    folder.mkdir()
    return folder


def snapshot(cache: Path) -> Path:
    return cache / "models--org--tiny" / "snapshots" / SHA


def files_asked(hub: FakeHub) -> list[str]:
    return [path for method, path in hub.requests if method == "GET" and ("/cdn/" in path or "/resolve/" in path)]


def test_what_the_engine_reads_is_loaded_and_verified(hub: FakeHub, cache: Path) -> None:
    done = download(hub, cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"org/tiny at {SHA}: 3 files" in done.stdout
    assert "complete and verified" in done.stdout
    assert {path.name for path in snapshot(cache).iterdir()} == {"config.json", "tokenizer.json", "model.safetensors"}
    assert (snapshot(cache) / "model.safetensors").read_bytes() == weights()


def test_the_engine_finds_it_offline(hub: FakeHub, cache: Path) -> None:
    assert download(hub, cache).returncode == 0
    code = "from huggingface_hub import snapshot_download; print(snapshot_download('org/tiny'))"
    env = {"PATH": os.environ["PATH"], "HF_HOME": str(cache.parent), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert found.stdout.strip() == str(snapshot(cache))


def test_a_second_pod_asks_for_nothing(hub: FakeHub, cache: Path) -> None:
    download(hub, cache)
    hub.requests.clear()
    done = download(hub, cache)
    assert (done.returncode, hub.requests) == (0, [])


def test_a_lost_file_is_loaded_alone(hub: FakeHub, cache: Path) -> None:
    download(hub, cache)
    lost = snapshot(cache) / "tokenizer.json"
    lost.resolve().unlink()
    lost.unlink()
    hub.requests.clear()
    assert download(hub, cache).returncode == 0
    assert [path.rsplit("/", 1)[-1] for path in files_asked(hub)] == ["tokenizer.json"]


def test_a_dead_pods_work_is_kept_and_its_litter_removed(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].statuses["/cdn/org/tiny/model.safetensors"] = ["cut"] * 99
    assert download(hub, cache, seconds=1).returncode == 1
    litter = cache / "models--org--tiny" / "blobs" / "abc.01234567.incomplete"
    litter.write_text("a part")
    hub.models["org/tiny"].statuses.clear()
    hub.requests.clear()
    assert download(hub, cache).returncode == 0
    assert [path.rsplit("/", 1)[-1] for path in files_asked(hub)] == ["model.safetensors"]
    assert not litter.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_is_broken_on_the_volume_is_loaded_again(hub: FakeHub, cache: Path, name: str) -> None:
    """Same length, other bytes: only a checksum tells."""
    download(hub, cache)
    path = snapshot(cache) / name
    good = path.read_bytes()
    path.resolve().write_bytes(good[:-1] + b"\xff")
    for mark in (cache / ".llm-serving").glob("*.json"):
        mark.unlink()
    done = download(hub, cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}: its {'SHA-256' if name.startswith('model') else 'git hash'} is not" in done.stdout
    assert path.read_bytes() == good


def test_without_checksums_a_cut_file_is_still_noticed(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].files["model.safetensors"] = weights()[:-7]
    done = download(hub, cache, seconds=1, env={"DOWNLOAD_VERIFY": "0"})
    assert done.returncode == 1
    assert "model.safetensors: 4069 bytes, but its header speaks of 4076; loading it again" in done.stdout


def test_a_hub_that_lies_is_never_trusted(hub: FakeHub, cache: Path) -> None:
    """Its list promises other bytes than it sends."""
    data = weights()
    hub.models["org/tiny"].lies["model.safetensors"] = data[:-1] + b"\xff"
    done = download(hub, cache, seconds=2)
    assert done.returncode == 1
    assert "1 file(s) stay broken: model.safetensors" in done.stdout
    assert not list((cache / ".llm-serving").glob("*.json"))


def test_a_hub_in_trouble_is_asked_again(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].statuses["/api/models/org/tiny/revision/main"] = [503, 503]
    hub.models["org/tiny"].statuses["/cdn/org/tiny/model.safetensors"] = ["cut"]
    done = download(hub, cache)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("words", [(), ("load",), ("fetch", "--quick"), ("fetch", "wait")])
def test_a_wrong_command_line_is_refused(words: tuple[str, ...]) -> None:
    done = run_program("download.py", *words, env={}, python=BARE)
    assert (done.returncode, done.stdout) == (2, "")
    assert "download.py: error: " in done.stderr


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"DOWNLOAD_MODEL": "org/none"}, "org/none is not on the hub, or the token may not read it"),
        ({"DOWNLOAD_REVISION": "v9"}, "org/tiny has no revision v9"),
        ({"DOWNLOAD_MODEL": "org/gated"}, "org/gated asks for accepted terms: accept them, and set auth.hfToken"),
    ],
)
def test_what_no_retry_mends_ends_with_code_3(hub: FakeHub, cache: Path, changes: dict[str, str], text: str) -> None:
    hub.models["org/gated"] = FakeModel({"config.json": b"{}"}, gated=True, token="hf_good")
    done = download(hub, cache, env=changes)
    assert done.returncode == 3
    assert f"download: refused: {text}" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_token_opens_a_gated_model(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].token = "hf_good"
    assert download(hub, cache, env={"HF_TOKEN": "hf_good"}).returncode == 0


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].sizes["model.safetensors"] = 10**18
    done = download(hub, cache)
    assert done.returncode == 3
    assert f"GB are missing, but {cache} has room for" in done.stdout
    assert files_asked(hub) == []


def test_a_read_only_volume_is_told(hub: FakeHub, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    done = download(hub, blocked / "hub")
    assert done.returncode in {1, 3}
    assert "Traceback" not in done.stderr


def test_waiting_ends_with_the_mark_or_the_deadline(hub: FakeHub, cache: Path) -> None:
    late = download(hub, cache, "wait", seconds=0.5)
    assert late.returncode == 1
    assert "download: gave up after 0 s: waiting for the download" in late.stdout
    download(hub, cache)
    assert download(hub, cache, "wait").returncode == 0


def test_pods_take_turns(hub: FakeHub, cache: Path) -> None:
    folder = cache / ".llm-serving"
    folder.mkdir()
    with (folder / "org--tiny@main.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = download(hub, cache, seconds=1)
    assert done.returncode == 1
    assert "gave up after 1 s: another pod is downloading" in done.stdout
    assert hub.requests == []


def test_two_pods_at_once_load_each_file_once(hub: FakeHub, cache: Path) -> None:
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        codes = [done.returncode for done in pool.map(lambda _: download(hub, cache), range(2))]
    assert codes == [0, 0]
    assert sum(path.endswith("/cdn/org/tiny/model.safetensors") for path in files_asked(hub)) == 1
    assert time.monotonic() - started < 30


def test_the_link_leads_to_the_files_and_follows_another_download(hub: FakeHub, cache: Path) -> None:
    link = cache.parent / "adapters" / "org--tiny@main"
    for _ in range(2):
        done = download(hub, cache, env={"DOWNLOAD_LINK": str(link)})
        assert done.returncode == 0, done.stdout + done.stderr
        assert link.resolve() == snapshot(cache).resolve()
    asked = len(files_asked(hub))
    assert (link / "config.json").read_bytes() == b"{}"
    link.unlink()
    assert download(hub, cache, env={"DOWNLOAD_LINK": str(link)}).returncode == 0
    assert link.exists()
    assert len(files_asked(hub)) == asked  # a marked download is not made again


def test_an_adapter_needs_no_config_of_a_model(hub: FakeHub, cache: Path) -> None:
    hub.models["org/sql"] = FakeModel(
        {"adapter_config.json": b'{"r": 8}', "adapter_model.bin": b"x", "README.md": b"y"}
    )
    link = cache.parent / "sql"
    done = download(hub, cache, env={"DOWNLOAD_MODEL": "org/sql", "DOWNLOAD_LINK": str(link)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((link / "adapter_config.json").read_text()) == {"r": 8}
