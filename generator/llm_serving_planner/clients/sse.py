"""Server-sent events: bytes as they come off the wire to the data of each event.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation (2026-11-25).
One difference: data at the end of the stream without an empty line are given too, so that a server that forgets the
last line break after [DONE] is not taken for a broken one; what was cut shows when the data do not parse.
"""

from collections.abc import Iterable, Iterator

_BOM = b"\xef\xbb\xbf"


def events(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each event; comments (keep-alives) and other fields are passed over."""
    data: list[bytes] = []
    for line in _lines(chunks):
        if not line:
            if data:
                yield b"\n".join(data).decode("utf-8", "replace")
            data = []
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
    if data:
        yield b"\n".join(data).decode("utf-8", "replace")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines, ended by LF, CR or CRLF; a character is never split, since only whole lines leave here."""
    rest = b""
    first, after_cr = True, False
    for chunk in chunks:
        if not chunk:
            continue
        block = chunk[1:] if after_cr and chunk.startswith(b"\n") else chunk
        after_cr = chunk.endswith(b"\r")
        *whole, rest = (rest + block).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            yield line.removeprefix(_BOM) if first else line
            first = False
    if rest:
        yield rest
