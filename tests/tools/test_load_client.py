"""The load test's judge is judged: each way in which an answer can end gets its own name."""

import asyncio
import time
from argparse import Namespace

import pytest
from load.client import Stream
from load.tally import tally

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKENS = 3


def chunk(data: str) -> bytes:
    line = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(line), line)


WORD, DONE, LAST = chunk('{"choices": []}'), chunk("[DONE]"), b"0\r\n\r\n"
ANSWERS = {
    "whole": (HEAD + WORD * TOKENS + DONE + LAST, "whole", TOKENS),
    "no [DONE]": (HEAD + WORD * TOKENS + LAST, "cut", TOKENS),
    "a token less": (HEAD + WORD * (TOKENS - 1) + DONE + LAST, "cut", TOKENS - 1),
    "no last chunk": (HEAD + WORD, "broken", 1),
    "half a chunk": (HEAD + WORD + WORD[:9], "broken", 1),
    "shutting down": (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "refused", 0),
    "closed at once": (b"", "refused", 0),
    "header only": (HEAD, "refused", 0),
}


def ask(answer: bytes | None) -> tuple[str, Stream]:
    """How a stream ends whose server sends these bytes and closes; None: nobody listens."""

    async def go() -> tuple[str, Stream]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
            await reader.readexactly(int(length.split()[1]))
            writer.write(answer or b"")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if answer is None:
            server.close()
            await server.wait_closed()
        stream = Stream(Namespace(address=f"127.0.0.1:{port}", model="m", tokens=TOKENS), time.monotonic())
        end = await asyncio.wait_for(stream.run(), 10)
        server.close()
        return end, stream

    return asyncio.run(go())


@pytest.mark.parametrize("name", ANSWERS)
def test_each_end_has_its_name(name: str) -> None:
    answer, expected, tokens = ANSWERS[name]
    end, stream = ask(answer)
    assert (end, stream.tokens) == (expected, tokens), stream.why


def test_nobody_listens() -> None:
    assert ask(None)[0] == "refused"


def rows(*ends: str) -> list[list[object]]:
    """What the client prints, for a table: a request each second."""
    return [[float(at), end, 1.0, 0.25, 40, "" if end == "whole" else "503"] for at, end in enumerate(ends)]


@pytest.mark.parametrize(
    ("ends", "counts", "pause"),
    [
        (("whole",) * 4, (4, 0, 0, 0), 0.0),
        (("whole", "refused", "whole", "refused", "whole"), (3, 2, 0, 0), 2.0),
        (("whole", "broken", "cut", "whole"), (2, 0, 1, 1), 0.0),
    ],
)
def test_the_table_counts_them(ends: tuple[str, ...], counts: tuple[int, ...], pause: float) -> None:
    result = tally("mode", rows(*ends), 1.0)
    assert (result.whole, result.refused, result.broken, result.cut) == counts
    assert result.pause == pause
