"""The TGIS client of `helm test` against real gRPC servers, and against servers that are none."""

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from support.fake_tgis import OK, FakeTgis, described
from support.programs import tgis_test

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


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
    done = tgis_test(tgis.target)
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
    done = tgis_test(tgis.target)
    assert done.stdout.endswith("OK\n"), done.stdout
    assert [method for method, _, _ in tgis.requests].count("ModelInfo") == 2


def test_it_waits_for_the_port(original: FileDescriptorProto) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    servers: list[FakeTgis] = []
    timer = threading.Timer(0.5, lambda: servers.append(FakeTgis(original, port)))
    timer.start()
    assert tgis_test(f"127.0.0.1:{port}").returncode == 0
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
    done = tgis_test(tgis.target, deadline=0.5 if UNAVAILABLE in script.get("ModelInfo", ()) else 20)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith(message), done.stdout


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "Socket closed"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Trying to connect an http1.x server"),
        (b"\0\0\x08\x07\0\0\0\0\0" + b"\0" * 8, "Failed parsing HTTP/2"),
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
        done = tgis_test(f"127.0.0.1:{server.getsockname()[1]}", deadline=0.5)
        server.shutdown(socket.SHUT_RDWR)
    assert (done.returncode, done.stderr) == (1, "")
    assert message in done.stdout


def test_answers_above_the_window_arrive(tgis: FakeTgis) -> None:
    tgis.pieces = ["x" * 3_000_000, *["y" * 1000] * 300]
    done = tgis_test(tgis.target)
    assert done.returncode == 0, done.stdout[-300:]
    assert re.search(r"stream: \d+ messages, 'xxx", done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 300


@pytest.fixture
def tgis_over_tls(certificates: dict[str, Path]) -> Iterator[FakeTgis]:
    server = FakeTgis(described(), tls=(certificates["key"].read_bytes(), certificates["crt"].read_bytes()))
    yield server
    server.close()


def test_tgis_passes_over_tls(tgis_over_tls: FakeTgis, certificates: dict[str, Path]) -> None:
    done = tgis_test(f"localhost:{tgis_over_tls.port}", authority=certificates["ca"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_tgis_under_another_name_or_authority_fails(tgis_over_tls: FakeTgis, certificates: dict[str, Path]) -> None:
    for ca, host, message in (
        (certificates["stranger"], "localhost", "CERTIFICATE_VERIFY_FAILED"),
        (certificates["ca"], "127.0.0.1", "Hostname Verification Check failed"),
    ):
        done = tgis_test(f"{host}:{tgis_over_tls.port}", deadline=3, authority=ca)
        assert done.returncode == 1
        assert message in done.stdout
