"""The TGIS client of `helm test`, standard library alone, against real gRPC servers and against HPACK's own rules."""

import ast
import importlib.util
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import hpack
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given
from hypothesis import strategies as st
from support.fake_tgis import OK, FakeTgis, described
from support.helm import CHART

CLIENT = CHART / "files" / "test_tgis.py"
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def run(target: str, deadline: float = 20) -> subprocess.CompletedProcess[str]:
    """The test as its pod runs it: -I -S leave it nothing but the standard library."""
    env = {"PATH": os.environ["PATH"], "TARGET": target, "MODEL": "m", "DEADLINE_SECONDS": str(deadline)}
    words = [sys.executable, "-I", "-S", str(CLIENT)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=env)


@pytest.fixture(scope="module")
def client() -> Any:
    """The file as a module."""
    os.environ["TARGET"] = "127.0.0.1:1"
    spec = importlib.util.spec_from_file_location("chart_test_tgis", CLIENT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    del os.environ["TARGET"]
    return module


@pytest.fixture(scope="module")
def original() -> FileDescriptorProto:
    return described()


@pytest.fixture
def tgis(original: FileDescriptorProto) -> Iterator[FakeTgis]:
    server = FakeTgis(original)
    yield server
    server.close()


def test_a_serving_tgis_passes(tgis: FakeTgis) -> None:
    tgis.pieces = ["né", " 漢", " 🦙", "!"]
    done = run(tgis.target)
    assert done.stdout.splitlines() == [
        "model info: max_sequence_length 2048 max_new_tokens 1024",
        "tokens of 'Hello world': 2",
        "text: 'né 漢 🦙!'",
        "stream: 5 messages, 'né 漢 🦙!' stop reason 1",
        "OK",
    ]
    assert (done.returncode, done.stderr) == (0, "")
    methods = [method for method, _, _ in tgis.requests]
    assert methods == ["ModelInfo", "Tokenize", "Generate", "GenerateStream"]
    for _, request, _ in tgis.requests:
        assert request.model_id == "m"
    assert tgis.requests[2][1].params.stopping.max_new_tokens == 8
    assert tgis.requests[3][1].request.text == "Hello"


def test_it_waits_while_the_model_loads(tgis: FakeTgis) -> None:
    tgis.script["ModelInfo"] = [UNAVAILABLE, OK]
    done = run(tgis.target)
    assert done.stdout.endswith("OK\n"), done.stdout
    assert [method for method, _, _ in tgis.requests].count("ModelInfo") == 2


def test_it_waits_for_the_port(original: FileDescriptorProto) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    servers: list[FakeTgis] = []
    timer = threading.Timer(0.5, lambda: servers.append(FakeTgis(original, port)))
    timer.start()
    assert run(f"127.0.0.1:{port}").returncode == 0
    timer.join()
    servers[0].close()


@pytest.mark.parametrize(
    ("script", "pieces", "reason", "message"),
    [
        ({"ModelInfo": [UNAVAILABLE]}, ["a"], 1, "is not ready before the deadline: gRPC status 14: schön 100% zu\n"),
        ({"ModelInfo": [grpc.StatusCode.UNAUTHENTICATED]}, ["a"], 1, "FAILED: gRPC status 16: schön 100% zu\n"),
        ({"Tokenize": [grpc.StatusCode.INVALID_ARGUMENT]}, ["a"], 1, "FAILED: gRPC status 3: schön 100% zu\n"),
        ({}, ["a", grpc.StatusCode.INTERNAL], 1, "FAILED: gRPC status 13: schön 100% zu\n"),
        ({}, ["a", "b"], 7, "FAILED: the stream of 3 messages ends with stop reason 7\n"),
        ({}, ["a", "b"], 0, "FAILED: the stream of 3 messages ends with stop reason 0\n"),
    ],
)
def test_what_fails_is_said_in_one_line(
    tgis: FakeTgis, script: dict[str, list[Any]], pieces: list[Any], reason: int, message: str
) -> None:
    tgis.script, tgis.pieces, tgis.reason, tgis.details = script, pieces, reason, "schön 100% zu"
    done = run(tgis.target, deadline=0.5 if UNAVAILABLE in script.get("ModelInfo", ()) else 20)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith(message), done.stdout


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "closed before the end"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "this is no HTTP/2"),
        (b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08", "reset the stream (HTTP/2 error 8)"),
        (b"\0\0\x08\x07\0\0\0\0\0" + b"\0" * 8, "going away"),
        (b"\0\0\x01\x01\x05\0\0\0\x01\x88", "no gRPC status, HTTP status 200"),
    ],
)
def test_another_kind_of_server(answer: bytes, message: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass

        threading.Thread(target=serve, daemon=True).start()
        done = run(f"127.0.0.1:{server.getsockname()[1]}", deadline=0.5)
        server.shutdown(socket.SHUT_RDWR)
    assert (done.returncode, done.stderr) == (1, "")
    assert message in done.stdout


def test_answers_above_the_window_arrive(tgis: FakeTgis) -> None:
    tgis.pieces = ["x" * 3_000_000, *["y" * 1000] * 300]
    done = run(tgis.target)
    assert done.returncode == 0, done.stdout[-300:]
    assert done.stdout.count("x") >= 6_000_000


def test_long_headers_and_metadata_from_grpc(client: Any, tgis: FakeTgis, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one frame of headers, values in base64 (which gRPC packs with Huffman codes), repeated names."""
    begin = tgis._begin

    def with_metadata(method: str, request: Any, context: Any) -> None:
        pairs = [("x-long", "v" * 20_000), ("x-raw-bin", bytes(range(256))), *[(f"x-{i}", str(i)) for i in range(200)]]
        context.send_initial_metadata(pairs)
        context.set_trailing_metadata([("x-0", "0"), ("x-long", "w" * 20_000)])
        begin(method, request, context)

    monkeypatch.setattr(tgis, "_begin", with_metadata)
    with socket.create_connection(("127.0.0.1", tgis.port)) as connection, connection.makefile("rb") as reader:
        running = client.Call(connection, reader, "ModelInfo", b"")
        assert [client.fields(answer) for answer in running.messages()] == [{2: [2048], 3: [1024]}]
    assert running.answer["x-199"] == "199"
    assert running.answer["x-long"] == "w" * 20_000
    assert running.answer["grpc-status"] == "0"


# --- HPACK

RFC_7541_C_6 = [
    ("488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
     {":status": "302"}, 4),
    ("4883640effc1c0bf", {":status": "307"}, 4),
    ("88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f"
     "3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007", {":status": "200"}, 3),
]  # fmt: skip


def test_the_examples_of_the_rfc(client: Any) -> None:
    """Responses with Huffman codes and a table of 256 bytes, which evicts."""
    headers = client.Headers()
    headers.limit = 256
    for block, expected, entries in RFC_7541_C_6:
        found = headers.decode(bytes.fromhex(block))
        assert expected.items() <= found.items()
        assert len(headers.table) == entries
    assert headers.table[0] == ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")


TEXT = st.text(st.characters(min_codepoint=0, max_codepoint=255))
NAMES = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz-0123456789"), min_size=1).map("x-".__add__)


@given(
    st.lists(st.tuples(st.dictionaries(NAMES, TEXT, max_size=8), st.sampled_from([0, 64, 300, 4096]), st.booleans()))
)
def test_headers_of_another_encoder(client: Any, blocks: list[tuple[dict[str, str], int, bool]]) -> None:
    """Every byte, Huffman or plain, indexed or literal, tables that shrink and grow."""
    encoder, headers = hpack.Encoder(), client.Headers()
    for sent, size, huffman in blocks:
        encoder.header_table_size = size
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]
        assert headers.decode(encoder.encode(pairs, huffman=huffman)) == sent


def test_the_file_is_for_any_python_3() -> None:
    """What python:3.8 could not read is refused."""
    ast.parse(CLIENT.read_text(), feature_version=(3, 8))
