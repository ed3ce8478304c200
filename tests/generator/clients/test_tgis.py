"""The TGIS client against a server made from TGIS's own proto."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from llm_serving_planner.base.errors import ServerError
from llm_serving_planner.clients.answer import Answer, Message, Sampling
from llm_serving_planner.clients.tgis import Tgis
from support.command import run, run_process
from support.fake_engine import FakeEngine
from support.fake_tgis import FakeTgis, described
from support.ports import unused_port

PROMPT = [Message("user", "Hi")]


@pytest.fixture(scope="module")
def original() -> FileDescriptorProto:
    return described()


@pytest.fixture
def tgis(original: FileDescriptorProto) -> Iterator[FakeTgis]:
    server = FakeTgis(original)
    yield server
    server.close()


def test_a_question_is_streamed_and_timed(tgis: FakeTgis) -> None:
    words = ("--max-tokens", "9", "--temperature", "0.5", "--seed", "0", "--model", "m")
    done = run("query", "Hi", "--protocol", "tgis", "--base-url", tgis.target, *words, OPENAI_API_KEY="sk-1")
    assert (done.returncode, done.stdout) == (0, "Hello\n"), done.stderr
    assert done.stderr.endswith("2 tokens, finish: max_tokens\n")
    ((method, request, metadata),) = tgis.requests
    assert (method, request.model_id, request.request.text) == ("GenerateStream", "m", "Hi")
    assert (request.params.method, request.params.sampling.temperature) == (1, 0.5)
    assert request.params.sampling.HasField("seed")
    assert request.params.stopping.max_new_tokens == 9
    assert request.params.stopping.include_stop_sequence is False
    assert "authorization" not in metadata


def test_a_whole_answer_and_the_servers_facts(tgis: FakeTgis) -> None:
    client = Tgis(f"http://{tgis.target}", api_key="sk-1")
    answer = Answer()
    for piece in client.answer(PROMPT, Sampling(temperature=0, seed=7), stream=False):
        answer.take(piece)
    assert (answer.text, answer.finish_reason) == ("Hello", "max_tokens")
    assert answer.usage == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert client.info() == {"max_sequence_length": 2048, "max_new_tokens": 1024}
    assert client.models() == []
    method, request, metadata = tgis.requests[0]
    assert (method, request.params.method, metadata["authorization"]) == ("Generate", 0, "Bearer sk-1")


def test_a_conversation_is_a_transcript(tgis: FakeTgis) -> None:
    words = [sys.executable, "-m", "llm_serving_planner", "chat", "--protocol", "tgis", "--base-url", tgis.target]
    done = subprocess.run(words, input="one\ntwo\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Hello\nHello\n"), done.stderr
    texts = [request.request.text for _, request, _ in tgis.requests]
    assert texts == ["one", "User: one\nAssistant: Hello\nUser: two\nAssistant:"]
    assert list(tgis.requests[1][1].params.stopping.stop_sequences) == ["\nUser:"]


def test_a_large_answer(tgis: FakeTgis) -> None:
    tgis.pieces = ["x" * 6_000_000]
    for stream in (True, False):
        (*_, last) = Tgis(tgis.target).answer(PROMPT, Sampling(), stream=stream)
        assert len(last.text) == 6_000_000


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE: no", "loading, went away"),
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT: no", "shorten the prompt"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED: no", "busy"),
        (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED: no", "--api-key-env"),
        (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED: no", "--protocol openai"),
        (grpc.StatusCode.INTERNAL, "INTERNAL: no", "log"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_refusals(tgis: FakeTgis, status: grpc.StatusCode, message: str, hint: str, stream: bool) -> None:
    tgis.script = {"Generate": [status], "GenerateStream": [status]}
    with pytest.raises(ServerError) as caught:
        list(Tgis(tgis.target).answer(PROMPT, Sampling(), stream=stream))
    assert message in str(caught.value)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("pieces", "reason", "message"),
    [
        (["Hello", grpc.StatusCode.UNAVAILABLE, ""], 1, "UNAVAILABLE: no"),
        (["Hello"], 0, "the stream was cut before its end"),
        (["Hello", "!"], 7, "the engine broke off (ERROR)"),
    ],
)
def test_a_cut_stream_keeps_what_came(tgis: FakeTgis, pieces: list[object], reason: int, message: str) -> None:
    tgis.pieces, tgis.reason = pieces, reason
    done = run("query", "Hi", "--protocol", "tgis", "--base-url", tgis.target)
    assert (done.returncode, done.stdout) == (1, "Hello\n")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_goes_away(tgis: FakeTgis) -> None:
    tgis.pieces = ["Hello", "hang", "!"]
    pieces = iter(Tgis(tgis.target).answer(PROMPT, Sampling()))
    assert next(pieces).text + next(pieces).text == "Hello"
    tgis.server.stop(0)
    with pytest.raises(ServerError):
        list(pieces)


@pytest.mark.parametrize("stream", [True, False])
def test_silence_is_borne_for_so_long(tgis: FakeTgis, stream: bool) -> None:
    tgis.pieces, tgis.script = ["Hello", "hang"], {"Generate": ["hang"]}
    with pytest.raises(ServerError, match=r"silent for 0\.2 s"):
        list(Tgis(tgis.target, timeout_seconds=0.2).answer(PROMPT, Sampling(), stream=stream))


def test_nobody_listens() -> None:
    done = run("query", "Hi", "--protocol", "tgis", "--base-url", f"127.0.0.1:{unused_port()}")
    assert done.returncode == 1
    assert "nothing listens there (connection refused)" in done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(("scheme", "message"), [("http", "speaks HTTP/1, not gRPC"), ("https", "no TLS")])
def test_another_kind_of_server(scheme: str, message: str) -> None:
    engine = FakeEngine()
    with pytest.raises(ServerError) as caught:
        list(Tgis(engine.url.replace("http", scheme)).answer(PROMPT, Sampling()))
    engine.close()
    assert str(caught.value).endswith(message)
    assert caught.value.hint


def test_without_grpcio_the_way_out_is_named(tmp_path: Path) -> None:
    (tmp_path / "grpc.py").write_text("raise ImportError('no', name='grpcio')\n")
    done = run_process("query", "Hi", "--protocol", "tgis", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "--protocol tgis needs grpcio, which is not installed" in done.stderr
    assert "hint: pip install 'llm-serving-planner[tgis]'" in done.stderr


@pytest.mark.parametrize("answer", [b"", b"\x0a\x00\x0a\x00", b"\xff" * 40, b"\x0a\x7f", b"\x0a\x06\x22\x04\x1b[2J"])
@pytest.mark.parametrize("words", [(), ("--no-stream",)])
def test_answers_in_another_shape(answer: bytes, words: tuple[str, ...]) -> None:
    """No answer, two, no message at all, a message that is cut, controls in the text."""

    def whole(_: bytes, __: grpc.ServicerContext) -> bytes:
        return answer

    def streamed(_: bytes, __: grpc.ServicerContext) -> Iterator[bytes]:
        yield answer

    methods = {
        "Generate": grpc.unary_unary_rpc_method_handler(whole),
        "GenerateStream": grpc.unary_stream_rpc_method_handler(streamed),
    }
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("fmaas.GenerationService", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        done = run("query", "Hi", "--protocol", "tgis", "--base-url", f"127.0.0.1:{port}", "--timeout", "5", *words)
    finally:
        server.stop(None)
    assert done.returncode in {0, 1}, done.stderr
    assert done.returncode == 1 or b"\x1b" in answer
    assert "\x1b" not in done.stdout + done.stderr
