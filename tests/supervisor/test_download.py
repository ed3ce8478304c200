"""The download before the engine, as its pod runs it, against a hub on this machine."""

import errno
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from supervisor.download_cache import Cache
from supervisor.download_files import File, RefusedError, header_problem, inside, wanted
from support.fake_hub import SHA, FakeHub, FakeModel
from support.programs import BARE, FILES, run_program


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
    """Its own, below the lock; what lies in the cache is another program's, which may be at work."""
    hub.models["org/tiny"].statuses["/cdn/org/tiny/model.safetensors"] = ["cut"] * 99
    assert download(hub, cache, seconds=4).returncode == 1
    own = cache / ".llm-serving" / "parts" / "models--org--tiny" / "blobs" / "abc.01234567.incomplete"
    own.write_text("a part")
    others = cache / "models--org--tiny" / "blobs" / "abc.89abcdef.incomplete"
    others.parent.mkdir(parents=True)
    others.write_text("a part of a process that lives")
    hub.models["org/tiny"].statuses.clear()
    hub.requests.clear()
    assert download(hub, cache).returncode == 0
    assert [path.rsplit("/", 1)[-1] for path in files_asked(hub)] == ["model.safetensors"]
    assert not own.exists()
    assert others.read_text() == "a part of a process that lives"
    assert not list((cache / ".llm-serving" / "parts").glob("models--*"))


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
    done = download(hub, cache, seconds=4, env={"DOWNLOAD_VERIFY": "0"})  # a busy machine starts Python in one
    assert done.returncode == 1
    assert "model.safetensors: 4069 bytes, but its header speaks of 4076; loading it again" in done.stdout


def test_a_hub_that_lies_is_never_trusted(hub: FakeHub, cache: Path) -> None:
    """Its list promises other bytes than it sends."""
    data = weights()
    hub.models["org/tiny"].lies["model.safetensors"] = data[:-1] + b"\xff"
    done = download(hub, cache, seconds=4)
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
    hub.models["org/gated"] = FakeModel(
        {"config.json": b"{}", "model.safetensors": weights()}, gated=True, token="hf_good"
    )
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


@pytest.mark.parametrize(
    ("note", "holder"),
    [
        ('{"pod": "chat-7d", "revision": "main", "since": 0}', "pod chat-7d (revision main, for "),
        ('{"pod": "\\u001b[31m' + "x" * 999 + '", "revision": 5, "since": 0}', "pod ?[31mxxx"),
        ("[" * 4000, "another pod is downloading"),
        ("", "another pod is downloading"),
    ],
)
def test_pods_take_turns_and_tell_whose_it_is(hub: FakeHub, cache: Path, note: str, holder: str) -> None:
    folder = cache / ".llm-serving"
    folder.mkdir()
    with (folder / "org--tiny.lock").open("w") as lock:
        lock.write(note)
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = download(hub, cache, seconds=1, env={"DOWNLOAD_REVISION": "v1"})
        waits = download(hub, cache, "wait", seconds=1)
    assert done.returncode == waits.returncode == 1
    assert f"gave up after 1 s: {holder}" in done.stdout
    assert "is downloading org/tiny" in done.stdout
    assert f"waiting for the download by {holder.removesuffix(' is downloading')}" in waits.stdout
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
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


OTHER = "f" * 40


def test_two_revisions_of_one_model_share_what_they_have_in_common(hub: FakeHub, cache: Path) -> None:
    tiny = hub.models["org/tiny"]
    tiny.others["v2"] = (OTHER, {**tiny.files, "config.json": b"[2]"})
    assert download(hub, cache).returncode == 0
    hub.requests.clear()
    assert download(hub, cache, env={"DOWNLOAD_REVISION": "v2"}).returncode == 0
    assert [path.rsplit("/", 1)[-1] for path in files_asked(hub)] == ["config.json"]
    second = cache / "models--org--tiny" / "snapshots" / OTHER
    assert (second / "config.json").read_bytes() == b"[2]"
    assert (second / "model.safetensors").resolve() == (snapshot(cache) / "model.safetensors").resolve()
    assert (snapshot(cache) / "config.json").read_bytes() == b"{}"


SILENT = {
    "no answer to the list": ("/api/models/org/tiny/revision/main", "hang"),
    "a byte every two seconds": ("/api/models/org/tiny/revision/main", "drip"),
    "come back tomorrow": ("/api/models/org/tiny/revision/main", "later"),
    "no answer to a file": ("/cdn/org/tiny/model.safetensors", "hang"),
    "a file in drops": ("/cdn/org/tiny/model.safetensors", "drip"),
}


@pytest.mark.parametrize("name", SILENT)
def test_the_deadline_holds_whatever_the_hub_does(hub: FakeHub, cache: Path, name: str) -> None:
    suffix, answer = SILENT[name]
    hub.models["org/tiny"].statuses[suffix] = [answer] * 99
    started = time.monotonic()
    done = download(hub, cache, seconds=4)
    assert time.monotonic() - started < 4 + 10  # the rest is the start of a Python on a busy machine
    assert done.returncode == 1
    assert "download: gave up after 4 s: " in done.stdout
    assert "; 2 s left" in done.stdout  # progress within two seconds


def test_a_file_without_end_is_cut_off(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].statuses["/cdn/org/tiny/model.safetensors"] = ["endless"] * 99
    done = download(hub, cache, seconds=30)
    assert done.returncode == 3, done.stdout + done.stderr
    assert re.search(r"refused: the hub sends more of .* than the \d+ bytes that it lists", done.stdout)
    used = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    assert used < 500e6


def test_a_list_without_end_is_cut_off(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].statuses["/api/models/org/tiny/revision/main"] = ["endless"] * 99
    done = download(hub, cache, seconds=50)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "refused: the hub's list of files has no end" in done.stdout


GARBAGE = [
    b"<html>",
    b"[]",
    b"5",
    b'{"siblings": 5}',
    b'{"siblings": ["x"]}',
    b"[" * 100000,
    b'{"sha": 7, "siblings": []}',
]


def test_a_list_in_no_form_is_asked_for_again(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].statuses["/api/models/org/tiny/revision/main"] = list(GARBAGE)
    done = download(hub, cache, seconds=40)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert sum(path.endswith("/revision/main") for _, path in hub.requests) == len(GARBAGE) + 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("action", ["fetch", "wait"])
def test_a_signal_ends_it_at_once(hub: FakeHub, cache: Path, action: str, number: int) -> None:
    """In a name space of its own it is process 1, for which the kernel ignores what is not handled."""
    hub.models["org/tiny"].statuses["/api/models/org/tiny/revision/main"] = ["hang"] * 9
    env = {"PATH": os.environ["PATH"], "HF_ENDPOINT": hub.url, "DOWNLOAD_MODEL": "org/tiny", "HF_HOME": str(cache)}
    env |= {"DOWNLOAD_CACHE": str(cache), "DOWNLOAD_SECONDS": "60"}
    command = [sys.executable, "-B", str(FILES / "download.py"), action]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # progress: it waits now
    process.send_signal(number)
    started = time.monotonic()
    assert process.wait(10) == 128 + number
    assert time.monotonic() - started < 2
    process.stdout.close()


FOLDER = f"models--org--tiny/snapshots/{SHA}"
MARKS: list[Any] = [
    [1], 5, "x", {}, {"folder": 5, "files": {"a": 1}}, {"folder": FOLDER, "files": {}}, {"folder": FOLDER, "files": []},
    {"folder": "../..", "files": {"etc/passwd": 1}}, {"folder": "/etc", "files": {"hostname": 1}},
    {"folder": FOLDER, "files": {"../../../../outside": 7}}, {"folder": FOLDER, "files": {"/etc/hostname": 1}},
]  # fmt: skip


@pytest.mark.parametrize("text", [*map(json.dumps, MARKS), "[" * 100000, "\xff"], ids=range(len(MARKS) + 2))
def test_a_mark_that_proves_nothing_is_none(cache: Path, text: str) -> None:
    (cache.parent / "outside").write_text("secret!")
    (cache / FOLDER).mkdir(parents=True)
    found = Cache(cache, "org/tiny", "main")
    found.mark.parent.mkdir()
    found.mark.write_text(text)
    assert found.marked() is None


def test_what_is_left_over_and_a_broken_mark_heal(hub: FakeHub, cache: Path) -> None:
    mark = Cache(cache, "org/tiny", "main").mark
    mark.parent.mkdir()
    mark.write_text("[1]")
    for draft in ("org--tiny@main.1.tmp", "org--tiny@main.json.1.tmp"):
        (mark.parent / draft).write_text("left over")
    done = download(hub, cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(json.loads(mark.read_text())["files"]) == {"config.json", "tokenizer.json", "model.safetensors"}


def test_a_marked_file_that_leads_out_of_the_cache_is_loaded_again(hub: FakeHub, cache: Path) -> None:
    download(hub, cache)
    outside = cache.parent / "outside"
    outside.write_bytes(b"[]")
    place = snapshot(cache) / "config.json"
    place.unlink()
    place.symlink_to(outside)
    assert download(hub, cache).returncode == 0
    assert (cache / "models--org--tiny" / "blobs") in place.resolve().parents


def test_a_link_that_was_left_half_made_does_not_stop_the_next(hub: FakeHub, cache: Path) -> None:
    link = cache.parent / "adapter"
    for name in ("adapter.1.tmp", "adapter.tmp"):
        (cache.parent / name).write_text("left over")
    assert download(hub, cache, env={"DOWNLOAD_LINK": str(link)}).returncode == 0
    link.unlink()
    link.mkdir()
    done = download(hub, cache, env={"DOWNLOAD_LINK": str(link)})
    assert done.returncode == 3
    assert f"refused: {link} is a folder where a link must be: remove it" in done.stdout


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/x", "a/../../x.json", "a\\b.json", "a\nb.json", "", ".", "./x", "a//b"]
)
def test_a_name_that_leads_out_of_the_repository_is_none(name: str) -> None:
    assert not inside(name)


def test_a_repository_whose_files_lead_out_of_it_is_refused(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].files["../../x.json"] = b"{}"
    done = download(hub, cache)
    assert done.returncode == 3
    assert "which leads out of its folder" in done.stdout
    assert files_asked(hub) == []


def test_a_name_is_no_pattern(hub: FakeHub, cache: Path) -> None:
    names = ["a[1].json", "what?.json", "all*.json", "[!x].json"]
    hub.models["org/tiny"].files |= dict.fromkeys(names, b"{}")
    done = download(hub, cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all((snapshot(cache) / name).read_bytes() == b"{}" for name in names)


def test_a_header_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", 3_000_000_000))
        stream.truncate(3_100_000_000)
    assert header_problem(path) == "its header is broken"


@pytest.mark.parametrize(
    "header", ["[]", "5", "{", '{"w": 5}', '{"w": {"data_offsets": "ab"}}', '{"w": {"data_offsets": [0]}}', "[" * 50000]
)
def test_a_header_in_no_form_is_broken(tmp_path: Path, header: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode())
    assert header_problem(path) == "its header is broken"


@pytest.mark.parametrize(
    ("setting", "text"),
    [("missing", "SSL_CERT_FILE names {}, which is not in this container"), ("empty", "which holds no certificate")],
)
def test_an_authority_that_is_not_there_is_named_at_once(hub: FakeHub, cache: Path, setting: str, text: str) -> None:
    path = cache.parent / "ca.crt"
    if setting == "empty":
        path.write_text("no certificate")
    done = download(hub, cache, seconds=60, env={"SSL_CERT_FILE": str(path)})
    assert done.returncode == 3
    assert text.format(path) in done.stdout
    assert hub.requests == []


def test_a_volume_without_locks_is_used_all_the_same(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    hold = Cache(cache, "org/tiny", "main").hold()
    with pytest.raises(OSError, match="No locks"):
        hold.take()
    hold.alone()
    assert hold.parts.name.startswith("parts-")
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)  # a volume that says yes to everybody
    with pytest.raises(OSError, match="one lock to two"):
        hold.take()


def told(*names: str) -> list[File]:
    return [File(name, 1, None, None) for name in names]


HF, MISTRAL = "model-00001-of-00001.safetensors", "consolidated-00001-of-00002.safetensors"
FOUND: dict[str, tuple[str, list[str], set[str]]] = {
    "Hugging Face's": ("auto", [HF, MISTRAL, "pytorch_model.bin", "model.gguf", "original/x.pth"], {HF}),
    "Mistral's alone": ("auto", [MISTRAL, "params.json", "tekken.json"], {MISTRAL, "params.json", "tekken.json"}),
    "Mistral's where asked for": ("mistral", [HF, MISTRAL], {MISTRAL}),
    "GGUF alone": ("auto", ["m-Q4_K_M.gguf", "mmproj-F16.gguf"], {"m-Q4_K_M.gguf", "mmproj-F16.gguf"}),
    "GGUF in pieces": ("auto", ["q/m-00001-of-00002.gguf", "q/m-00002-of-00002.gguf"],
                       {"q/m-00001-of-00002.gguf", "q/m-00002-of-00002.gguf"}),
    "pickles": ("auto", ["pytorch_model.bin", "training_args.bin"], {"pytorch_model.bin"}),
    "pickles where asked for": ("npcache", [HF, "pytorch_model.bin"], {"pytorch_model.bin"}),
    "pt": ("auto", ["model.pt", "optimizer.pt"], {"model.pt"}),
    "modules": ("auto", ["modules.json", "model.safetensors", "pytorch_model.bin", "1_Pooling/config.json",
                         "2_Dense/pytorch_model.bin", "3_Dense/pytorch_model.bin", "3_Dense/model.safetensors",
                         "onnx/model.onnx", "openvino/openvino_model.bin"],
                {"modules.json", "model.safetensors", "1_Pooling/config.json", "2_Dense/pytorch_model.bin",
                 "3_Dense/model.safetensors"}),
    "an adapter": ("auto", ["adapter_config.json", "adapter_model.bin"], {"adapter_config.json", "adapter_model.bin"}),
    "no weights wanted": ("dummy", ["config.json", HF], {"config.json"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_one_set_of_weights_is_wanted(name: str) -> None:
    load_format, names, expected = FOUND[name]
    assert set(wanted(told(*names), load_format)) == expected


@pytest.mark.parametrize(
    ("load_format", "names", "text"),
    [
        ("auto", ["config.json", "README.md"], "holds no weights that the engine loads with load format auto"),
        ("auto", ["config.json", "consolidated.00.pth"], "holds no weights"),
        ("mistral", ["config.json", HF], "with load format mistral"),
        ("auto", ["a-Q4_K_M.gguf", "a-Q8_0.gguf"], "holds 2 models in GGUF"),
    ],
)
def test_no_weights_is_an_error(load_format: str, names: list[str], text: str) -> None:
    with pytest.raises(RefusedError, match=text):
        wanted(told(*names), load_format)


def test_a_repository_without_weights_ends_with_code_3(hub: FakeHub, cache: Path) -> None:
    hub.models["org/tiny"].files = {"config.json": b"{}"}
    done = download(hub, cache)
    assert done.returncode == 3
    assert "refused: the repository holds no weights" in done.stdout
