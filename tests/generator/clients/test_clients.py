"""Answers of the OpenAI protocol, good and bad: what reaches the user, and what it costs to find out."""

import json
import os
import pty
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llm_serving_planner.base.errors import InputError, ServerError
from llm_serving_planner.clients.answer import Message, Sampling
from llm_serving_planner.clients.openai import OpenAI
from support.command import run, run_process
from support.fake_engine import DONE, END, NAME, FakeEngine, Reply, chunk, document, event, stream
from support.ports import unused_port


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    server = FakeEngine()
    yield server
    server.close()


def ask(engine: FakeEngine, *words: str, **env: Any) -> subprocess.CompletedProcess[str]:
    return run("query", "Hi", "--base-url", engine.url, *words, **env)


# --- good answers

HALF = b'data: {"choices": [{"delta": {"content": "\\ud83e"}}]}\n\n'


def test_a_question_is_streamed_and_timed(engine: FakeEngine) -> None:
    usage = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
    engine.chat(stream(b": ping\n\n", chunk("Hel"), chunk("lo"), END, usage, DONE))
    done = ask(
        engine, "--system", "Be brief.", "--max-tokens", "9", "--temperature", "0", "--top-p", "0.5", "--seed", "7"
    )
    assert (done.returncode, done.stdout) == (0, "Hello\n"), done.stderr
    assert done.stderr.startswith("first token ")
    assert done.stderr.endswith(" tokens/s, 2 tokens, finish: stop\n")
    assert engine.bodies == [{
        "model": NAME, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_tokens": 9, "temperature": 0.0, "top_p": 0.5, "seed": 7,
        "stream": True, "stream_options": {"include_usage": True},
    }]  # fmt: skip


def test_json_is_one_record(engine: FakeEngine) -> None:
    done = ask(engine, "--format", "json")
    record = json.loads(done.stdout)
    assert (record["text"], record["model"], record["finish_reason"]) == ("Hello world", NAME, "stop")
    assert record["ttft_seconds"] > 0
    assert set(record) >= {"tokens_per_second", "usage", "inter_token_seconds", "total_seconds", "tokens"}


def test_a_whole_answer(engine: FakeEngine) -> None:
    choice = {"message": {"role": "assistant", "content": "Four", "reasoning_content": "2+2"}, "finish_reason": "stop"}
    engine.chat(document({"choices": [choice], "usage": {"completion_tokens": 1, "prompt_tokens_details": None}}))
    done = ask(engine, "--no-stream")
    assert (done.returncode, done.stdout) == (0, "Four\n")
    assert done.stderr.startswith("2+2first token ")
    assert "stream" not in engine.bodies[0]


def test_a_completion_for_models_without_template(engine: FakeEngine) -> None:
    engine.replies["/v1/completions"] = [
        stream(event({"choices": [{"text": " Paris", "finish_reason": "length"}]}), DONE)
    ]
    done = ask(engine, "--completion", "--model", "mine")
    assert (done.returncode, done.stdout) == (0, " Paris\n")
    assert engine.bodies == [
        {"model": "mine", "prompt": "Hi", "stream": True, "stream_options": {"include_usage": True}}
    ]
    assert "/v1/models" not in [path for path, _, _ in engine.requests]


def test_the_prompt_from_stdin(engine: FakeEngine) -> None:
    words = [sys.executable, "-m", "llm_serving_planner", "query", "-", "--base-url", f"{engine.url}/v1/"]
    done = subprocess.run(words, input="Grüße\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert engine.bodies[0]["messages"] == [{"role": "user", "content": "Grüße\n"}]


def test_a_conversation_remembers_until_it_is_reset(engine: FakeEngine) -> None:
    words = [sys.executable, "-m", "llm_serving_planner", "chat", "--base-url", engine.url, "--system", "S"]
    done = subprocess.run(words, input="one\n\ntwo\n/reset\nthree", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Hello world\n" * 3), done.stderr
    said = [[message["content"] for message in body["messages"]] for body in engine.bodies]
    assert said == [["S", "one"], ["S", "one", "Hello world", "two"], ["S", "three"]]


@pytest.mark.parametrize("to_file", [False, True], ids=["terminal", "answers to a file"])
def test_a_conversation_on_a_terminal(engine: FakeEngine, tmp_path: Path, to_file: bool) -> None:
    """An error does not end it, colours and bells of a model do not reach the terminal, Ctrl-D ends it."""
    engine.chat(
        stream(chunk("one\x1b[2J"), END, DONE), document({"error": "no"}, 500), stream(chunk("three"), END, DONE)
    )
    ours, theirs = pty.openpty()
    with (tmp_path / "out").open("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "llm_serving_planner", "chat", "--base-url", engine.url],
            stdin=theirs, stdout=out if to_file else theirs, stderr=theirs, env=os.environ | {"TERM": "dumb"},
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        for number, typed in enumerate((b"a\n", b"b\n", b"c\n", b"\x04"), 1):
            while seen.count(b"> ") < number:
                assert select.select([ours], [], [], 20)[0], seen
                seen += os.read(ours, 4096)
            os.write(ours, typed)
        assert process.wait(20) == 0
        os.close(ours)
        out.seek(0)
        assert out.read() == ("one\\x1b[2J\nthree\n" if to_file else "")
    assert ("one\\x1b[2J" in seen.decode()) is not to_file
    assert b"error: " in seen
    told = [[message["content"] for message in body["messages"]] for body in engine.bodies]
    assert told == [["a"], ["a", "one\x1b[2J", "b"], ["a", "one\x1b[2J", "c"]]


def test_text_of_all_kinds_arrives_whole(engine: FakeEngine) -> None:
    raw = chunk("né 漢 🦙")
    engine.chat(stream(*[raw[i : i + 1] for i in range(len(raw))], HALF, END, DONE))
    done = ask(engine)
    assert done.stdout == "né 漢 🦙\N{REPLACEMENT CHARACTER}\n"
    assert "?" in run_process("query", "Hi", "--base-url", engine.url, PYTHONIOENCODING="ascii").stdout


def test_the_key_is_sent_and_never_shown(engine: FakeEngine) -> None:
    for words, env in (((), {"OPENAI_API_KEY": "sk-1"}), (("--api-key-env", "MINE"), {"MINE": " sk-1\n"})):
        done = ask(engine, *words, **env)
        assert done.returncode == 0
        assert engine.requests[-1][1]["Authorization"] == "Bearer sk-1"
        assert "sk-1" not in done.stdout + done.stderr
    ask(engine)
    assert "Authorization" not in engine.requests[-1][1]


def test_a_stream_without_done_is_whole_when_it_says_why_it_ends(engine: FakeEngine) -> None:
    for blocks in ((chunk("Hello"), END), (chunk("Hello"), END, "cut")):
        engine.chat(stream(*blocks))
        assert (ask(engine).returncode, ask(engine).stdout) == (0, "Hello\n")


# --- bad answers

LONG = b"x" * 200_000
CONTEXT = "This model's maximum context length is 2048 tokens. However, you requested 2723 tokens"
HTML = Reply([b"<html>hi</html>"], kind="text/html; charset=utf-8")
CASES: list[tuple[str, Reply, str, str]] = [
    ("401", document({"error": "Unauthorized"}, 401), "HTTP 401: Unauthorized", "OPENAI_API_KEY"),
    (
        "404 model",
        document({"error": {"message": "The model `x` does not exist."}}, 404),
        "does not exist",
        "/v1/models",
    ),
    ("404 path", document({"detail": "Not Found"}, 404), "HTTP 404: Not Found", "is not there"),
    ("context, new form", document({"error": {"message": CONTEXT, "code": 400}}, 400), CONTEXT, "shorten the prompt"),
    ("context, old form", document({"object": "error", "message": CONTEXT}, 400), CONTEXT, "shorten the prompt"),
    (
        "max tokens",
        document({"error": {"message": "max_tokens=9 > max_model_len=8"}}, 400),
        "HTTP 400",
        "lower --max-t",
    ),
    (
        "TGI",
        document({"error": "Input validation error: `inputs` must have less than 8 tokens"}, 422),
        "422",
        "shorten",
    ),
    ("no template", document({"error": {"message": "no chat template"}}, 400), "no chat template", "use --completion"),
    ("429", document({"error": "Model is overloaded", "error_type": "overloaded"}, 429), "HTTP 429", "busy"),
    (
        "503",
        Reply([b"no healthy upstream"], 503, "text/plain"),
        "HTTP 503: Service Unavailable",
        "loading or overloaded",
    ),
    ("502", Reply([b"<html>"], 502, "text/html"), "HTTP 502: Bad Gateway", "does not answer"),
    ("500", document({"error": {"message": "EngineDeadError"}}, 500), "HTTP 500: EngineDeadError", ""),
    ("html", HTML, "answers with text/html; charset=utf-8: this is no OpenAI server", "--base-url"),
    ("html 400", Reply([b"<html>"], 400, "text/html"), "this is no OpenAI server", "--base-url"),
    ("elsewhere", Reply([b""], 302, headers={"Location": "https://x/login"}), "HTTP 302", "--base-url https://x/login"),
    ("error in 200", document({"error": {"message": "out of cake"}}), "out of cake", ""),
    ("not JSON", stream(b"data: {oops\n\n", DONE), "cut before its end", "kubectl get pods"),
    ("error in the stream", stream(event({"error": {"message": "boom"}}), DONE), "the engine broke off: boom", "log"),
    ("empty stream", stream(), "cut before its end", "restarts"),
    ("nothing but the end", stream(DONE), "cut before its end", "restarts"),
    ("nothing but usage", stream(event({"choices": [], "usage": {}}), DONE), "cut before its end", "restarts"),
    ("delta is a text", stream(event({"choices": [{"delta": "x"}]})), "/choices/0/delta: 'x' is not of type", "OpenAI"),
    ("choices is a number", stream(event({"choices": 5})), "/choices: 5 is not of type 'array'", "OpenAI"),
    ("an event that is a list", stream(b"data: [1]\n\n"), "cut before its end", "restarts"),
    ("NaN", stream(b'data: {"choices": NaN}\n\n'), "cut before its end", "restarts"),
    ("deep", stream(b"data: " + b"[" * 5000 + b"\n\n"), "cut before its end", "restarts"),
    ("endless line", stream(b"data: ", *[LONG] * 6), "an event is longer than 1,048,576 bytes", "log"),
    ("endless error", Reply([LONG] * 90, 500), "the answer is longer than 16,777,216 bytes", ""),
    ("compressed", Reply([b"x"], headers={"Content-Encoding": "gzip"}), "answers compressed", ""),
    ("controls", document({"error": "a\x1b[2J\nnote: fine"}, 500), "HTTP 500: a\\x1b[2J note: fine", ""),
]


@pytest.mark.parametrize(("reply", "message", "hint"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_refusals_are_one_line_with_a_way_out(engine: FakeEngine, reply: Reply, message: str, hint: str) -> None:
    engine.chat(reply)
    with pytest.raises(ServerError) as caught:
        list(OpenAI(engine.url).answer([Message("user", "Hi")], Sampling()))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "reply",
    [
        stream(chunk("Hel"), chunk("lo"), "cut"),
        stream(chunk("Hel"), chunk("lo"), chunked=False),
        stream(chunk("Hel"), chunk("lo"), chunk("never")[:20], "cut"),
        stream(chunk("Hel"), chunk("lo"), event({"error": "boom"})),
    ],
    ids=["chunked", "closed", "in the middle of an event", "error object"],
)
def test_a_cut_stream_keeps_what_came(engine: FakeEngine, reply: Reply) -> None:
    engine.chat(reply)
    done = ask(engine)
    assert (done.returncode, done.stdout) == (1, "Hello\n")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    record = ask(engine, "--format", "json")
    assert record.returncode == 1
    assert json.loads(record.stdout)["text"] == "Hello"
    assert json.loads(record.stdout)["error"] in record.stderr


def test_a_pipe_stops_at_the_first_error_and_keeps_earlier_answers(engine: FakeEngine) -> None:
    engine.chat(engine.replies["/v1/chat/completions"][0], document({"error": "no"}, 500))
    words = [sys.executable, "-m", "llm_serving_planner", "chat", "--base-url", engine.url]
    done = subprocess.run(words, input="one\ntwo\nthree\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, len(engine.bodies)) == (1, "Hello world\n", 2)


def test_silence_is_borne_for_so_long(engine: FakeEngine) -> None:
    engine.chat(stream(chunk("Hello"), "hang"))
    done = ask(engine, "--timeout", "0.2")
    assert (done.returncode, done.stdout) == (1, "Hello\n")
    assert "silent for 0.2 s" in done.stderr
    assert "--timeout" in done.stderr


def test_ctrl_c_in_the_middle_of_an_answer(engine: FakeEngine) -> None:
    engine.chat(stream(chunk("Hello"), "hang"))
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_serving_planner", "query", "Hi", "--base-url", engine.url],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.read(5) == "Hello"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, out, errors) == (130, "\n", "interrupted\n")


def test_several_models_are_named(engine: FakeEngine) -> None:
    engine.replies["/v1/models"] = [document({"data": [{"id": "base"}, {"id": "lora"}]})]
    done = ask(engine)
    assert done.returncode == 1
    assert done.stderr == "error: several models are served: base, lora\nhint: --model base\n"
    assert ask(engine, "--model", "lora").returncode == 0


@pytest.mark.parametrize("content", [{"data": []}, {"data": [{"name": "x"}]}, {"models": 3}, [1]])
def test_a_list_of_models_that_is_none(engine: FakeEngine, content: Any) -> None:
    engine.replies["/v1/models"] = [document(content)]
    with pytest.raises(ServerError):
        _ = OpenAI(engine.url).model


def test_nobody_listens() -> None:
    done = run("query", "Hi", "--base-url", f"127.0.0.1:{unused_port()}")
    assert done.returncode == 1
    assert "nothing listens there (connection refused)" in done.stderr
    assert "still loading its model?" in done.stderr


def test_no_tls_where_tls_is_meant(engine: FakeEngine) -> None:
    done = run("query", "Hi", "--base-url", engine.url.replace("http:", "https:"))
    assert done.returncode == 1
    assert "no TLS (" in done.stderr
    assert "is it http:// instead?" in done.stderr


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (ssl.SSLCertVerificationError(1, "x"), "its certificate is not trusted (self-signed)", "SSL_CERT_FILE"),
        (socket.gaierror(-2, "Name or service not known"), "the name is not known", "--release"),
        (OSError(113, "No route to host"), "No route to host", "log"),
        (TimeoutError(), "silent for 120 s", "--timeout"),
    ],
)
def test_a_connection_that_fails(monkeypatch: pytest.MonkeyPatch, error: OSError, message: str, hint: str) -> None:
    def fail(*_: object, **__: object) -> None:
        if isinstance(error, ssl.SSLCertVerificationError):
            error.verify_message = "self-signed"
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(ServerError) as caught:
        OpenAI("https://models.example").models()
    assert message in str(caught.value)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "closed the connection without an answer"),
        (b"220 mail.example ESMTP\r\n\r\n" * 9, "does not speak HTTP (illegal status line: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "cut in the middle of the answer"),
    ],
)
def test_another_kind_of_server(answer: bytes, message: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ServerError, match=message.replace("(", r"\(").replace(")", r"\)")):
            OpenAI(f"http://127.0.0.1:{server.getsockname()[1]}").models()
        thread.join()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--base-url", "ftp://x"], "--base-url is 'ftp://x'"),
        (["--base-url", "http://x:99999"], "not of the form http://HOST:PORT"),
        (["--base-url", "http://"], "not of the form"),
        (["--max-tokens", "0"], "--max-tokens is 0: at least 1"),
        (["--temperature", "3"], "--temperature is 3: 0 to 2"),
        (["--top-p", "0"], "--top-p is 0: above 0"),
        (["--timeout", "0"], "--timeout is 0: not above 0"),
        (["--timeout", "nan"], "--timeout is nan: not above 0"),
        (["--namespace", "x"], "--namespace belongs to --release"),
        (["--api-key-env", "NOT_SET"], "that variable is unset or empty"),
    ],
)
def test_bad_options_are_refused(words: list[str], message: str) -> None:
    done = run("query", "Hi", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr


def test_bad_prompts_and_keys(tmp_path: Path) -> None:
    assert "the prompt is empty" in run("query", " ").stderr
    done = run("query", "Hi", OPENAI_API_KEY="sk-\x01")
    assert "OPENAI_API_KEY holds characters that no HTTP header can carry" in done.stderr
    words = [sys.executable, "-m", "llm_serving_planner", "query", "-"]
    for mode in ("0", "1"):
        env = os.environ | {"PYTHONUTF8": mode, "PYTHONIOENCODING": "utf-8" if mode == "0" else ""}
        bad = subprocess.run(words, input=b"\xff\xfe", capture_output=True, cwd=tmp_path, check=False, env=env)
        assert (bad.returncode, b"the prompt is not UTF-8" in bad.stderr) == (1, True), bad.stderr


def test_the_library_refuses_a_bad_address() -> None:
    with pytest.raises(InputError):
        OpenAI("http://user@host")


def test_the_key_goes_nowhere_else(engine: FakeEngine) -> None:
    """Neither to where a redirect points, nor through a proxy of the environment."""
    other = FakeEngine()
    try:
        for status in (301, 302, 307, 308):
            engine.chat(Reply([b""], status, headers={"Location": f"{other.url}/v1/chat/completions"}))
            done = ask(engine, OPENAI_API_KEY="sk-1", http_proxy=other.url, HTTP_PROXY=other.url, all_proxy=other.url)
            assert done.returncode == 1
            assert f"HTTP {status}, it sends elsewhere" in done.stderr
        assert other.requests == []
    finally:
        other.close()


def test_a_command_ends_within_its_deadline(engine: FakeEngine) -> None:
    engine.chat(stream(b": ping\n\n", "hang"))
    done = run_process("query", "Hi", "--base-url", engine.url, "--deadline", "0.5")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: query did not end within 0.5 seconds\nhint: --deadline gives it longer" in done.stderr
    assert "--deadline: nan must be above 0" in run("query", "Hi", "--deadline", "nan").stderr
