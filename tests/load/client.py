"""Many streams at once against one Service, from a pod inside the cluster's network; the standard library only.

    client.py ADDRESS MODEL --streams 200 --seconds 60 --tokens 100

Each of the streams asks again as soon as its answer has ended, each time over a new connection, as kube-proxy then may
choose another pod. SIGTERM ends the asking: running answers are read to their end. The last line printed is a JSON list
with one entry per request: when it began (seconds since the start), how it ended, seconds to the first token, the
longest gap between two tokens, the number of tokens. Ends are

    whole     every token and [DONE]
    refused   no answer, or another status than 200: the client knows at once, nothing was generated
    broken    the connection failed or the chunks broke off: any HTTP client raises an error
    cut       a well-formed end without [DONE]: a client would take half an answer for a whole one
"""

import argparse
import asyncio
import json
import signal
import time
from typing import Any

PATIENCE_SECONDS = 120
# As OpenAI's client and httpx have it. A connection to the address of a pod that has just gone would wait for two
# minutes: each SYN that is sent again follows the first one's translation, and few of them are answered with an error.
CONNECT_SECONDS = 5


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address", help="host:port of the Service")
    parser.add_argument("model")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tokens", type=int, default=100)
    return parser.parse_args()


class Stream:
    """One request and what became of it."""

    def __init__(self, options: argparse.Namespace, started: float) -> None:
        self.options = options
        self.began = time.monotonic()
        self.at = self.began - started
        self.first = self.longest = 0.0
        self.tokens = 0
        self.why = ""

    async def run(self) -> str:
        """How it ended."""
        writer = None
        try:
            host, port = self.options.address.rsplit(":", 1)
            connecting = asyncio.open_connection(host, int(port))
            reader, writer = await asyncio.wait_for(connecting, CONNECT_SECONDS)
            await self.ask(writer)
            status = (await reader.readline()).split()
            if len(status) < 2 or status[1] != b"200":
                self.why = b" ".join(status).decode() or "closed without an answer"
                return "refused"
            while (await reader.readline()).strip():
                pass  # the header's other lines
            return await self.read(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.why = type(error).__name__
            return "broken" if self.tokens else "refused"
        finally:
            if writer is not None:
                writer.close()

    async def ask(self, writer: asyncio.StreamWriter) -> None:
        """Send the request."""
        message = [{"role": "user", "content": "load"}]
        body = {"model": self.options.model, "messages": message, "max_tokens": self.options.tokens, "stream": True}
        text = json.dumps(body)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self.options.address}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write((head + text).encode())
        await writer.drain()

    async def read(self, reader: asyncio.StreamReader) -> str:
        """Chunks until the last one."""
        done = False
        last: float | None = None
        while True:
            size = int(await reader.readuntil(b"\n"), 16)  # an end of file here is a broken stream
            data = await reader.readexactly(size + 2)
            if size == 0:
                return "whole" if done and self.tokens == self.options.tokens else "cut"
            now = time.monotonic()
            if data.startswith(b"data: [DONE]"):
                done = True
                continue
            self.tokens += 1
            if last is None:
                self.first = now - self.began
            else:
                self.longest = max(self.longest, now - last)
            last = now


async def main(options: argparse.Namespace) -> None:
    """All streams until the time is over or the signal comes."""
    stop, started = asyncio.Event(), time.monotonic()
    ended: list[list[Any]] = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def worker(index: int) -> None:
        await asyncio.sleep(index * 0.01)  # not all in the same instant
        while not stop.is_set() and time.monotonic() - started < options.seconds:
            stream = Stream(options, started)
            try:
                end = await asyncio.wait_for(stream.run(), PATIENCE_SECONDS)
            except TimeoutError:
                end, stream.why = "broken", "no end in sight"
            numbers = [round(number, 3) for number in (stream.at, stream.first, stream.longest)]
            ended.append([numbers[0], end, *numbers[1:], stream.tokens, stream.why])
            if end == "refused":
                await asyncio.sleep(0.5)  # a client that is turned away waits before it asks again

    print("asking", flush=True)
    await asyncio.gather(*[worker(index) for index in range(options.streams)])
    print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    asyncio.run(main(arguments()))
