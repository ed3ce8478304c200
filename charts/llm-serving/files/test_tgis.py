"""`helm test` for TGIS: model info, tokens, a text, a stream, over gRPC; the standard library only.

gRPC is HTTP/2 (RFC 9113) with headers packed by HPACK (RFC 7541) around protobuf messages. Each call here is a
connection of its own with one stream, so that little of the three is needed.
"""

import os
import socket
import ssl
import struct
import sys
import time
import urllib.parse

TARGET = os.environ["TARGET"]
MODEL = os.environ.get("MODEL", "")
DEADLINE = time.monotonic() + float(os.environ.get("DEADLINE_SECONDS", "60"))
SCHEME = "https" if os.environ.get("CA_FILE") else "http"
SILENCE_SECONDS = 120  # longest wait for one frame: a first answer may compile kernels
PROBE_SECONDS = 10  # the same while nobody knows whether the server is there
PAUSE_SECONDS = 1  # between two probes

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
FRAME_BYTES = 16384  # largest frame that a peer may send unless it is told otherwise (RFC 9113, 6.5.2)
STATUSES = ("200", "204", "206", "304", "400", "404", "500")  # entries 8 to 14 of HPACK's static table
# RFC 7541, appendix A; the lengths count when an entry of the dynamic table takes its name from here
STATIC_NAMES = (  # noqa: SIM905 - a list of strings would be three times as long
    ":authority :method :method :path :path :scheme :scheme :status :status :status :status :status :status :status "
    "accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow "
    "authorization cache-control content-disposition content-encoding content-language content-length "
    "content-location content-range content-type cookie date etag expect expires from host if-match if-modified-since "
    "if-none-match if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate "
    "proxy-authorization range referer refresh retry-after server set-cookie strict-transport-security "
    "transfer-encoding user-agent vary via www-authenticate"
).split()
TABLE_BYTES = 4096  # HPACK's dynamic table, until a peer says otherwise
# Length in bits of the code of each byte, and of the end mark (RFC 7541, appendix B), as a letter: A is 5, Z is 30.
# The codes themselves follow from the lengths: shorter codes first, equal lengths in the order of the bytes.
CODE_LENGTHS = (
    "ISXXXXXXXTZXXZXXXXXXXXZXXXXXXXXXBFFHIBDGFFDGDBBBAAABBBBBBBCDKBHFIBCCCCCCCCCCCCCCCCCCCCCCDCDIOIJBKABA"
    "BABBBACCBBBABCBAABCCCCCKGJIXPRPPRRRSRSSSSSTSTTRSTSSSSQRSRSSTRQPRRSSQSRRTQRSSQQRQSRSSPRRRSRRSVVPORSRU"
    "VVVWWVTUOQVWWVWTQQVVXWWWPTPQRQQSRRUUTTVSVWVVWWWWWXWWWWWVZ"
)
UNAVAILABLE = 14  # https://grpc.io/docs/guides/status-codes/: the server is loading or going


class GrpcError(Exception):
    """A call that ended with another status than OK."""

    def __init__(self, code, message):
        super().__init__(f"gRPC status {code}: {urllib.parse.unquote(message) or 'no reason given'}")
        self.code = code


def huffman_codes():
    """From (length, code) to byte; 256 is the end mark."""
    lengths = [ord(letter) - 60 for letter in CODE_LENGTHS]
    codes, code, last = {}, 0, 0
    for length, byte in sorted((length, byte) for byte, length in enumerate(lengths)):
        code <<= length - last
        codes[length, code] = byte
        code, last = code + 1, length
    return codes


HUFFMAN = huffman_codes()


def huffman_text(raw):
    """Decode a string of HPACK; what is left at the end is padding."""
    found, length, code = bytearray(), 0, 0
    for byte in raw:
        for shift in range(7, -1, -1):
            length, code = length + 1, code << 1 | byte >> shift & 1
            if (length, code) in HUFFMAN:
                found.append(HUFFMAN[length, code])
                length = code = 0
    return bytes(found)


class Headers:
    """Decoder of HPACK: keeps the dynamic table of one connection."""

    def __init__(self):
        self.table, self.limit = [], TABLE_BYTES

    def decode(self, block):
        """Headers of one block, as a dict."""
        found, self.block, self.at = {}, block, 0
        while self.at < len(block):
            first = block[self.at]
            if first & 0x80:  # an entry of the tables
                name, value = self.entry(self.integer(7))
            elif first & 0xE0 == 0x20:  # a new size of the table
                self.limit = self.integer(5)
                self.evict()
                continue
            else:  # a literal; 01 in front adds it to the table
                index = self.integer(6 if first & 0x40 else 4)
                name = self.entry(index)[0] if index else self.text()
                value = self.text()
                if first & 0x40:
                    self.table.insert(0, (name, value))
                    self.evict()
            found[name] = value
        return found

    def integer(self, bits):
        """A number that begins in the low bits of this byte."""
        mask = (1 << bits) - 1
        number, shift = self.block[self.at] & mask, 0
        self.at += 1
        if number == mask:
            while True:
                byte = self.block[self.at]
                self.at += 1
                number += (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
        return number

    def text(self):
        """A string, plain or Huffman-coded."""
        packed = self.block[self.at] & 0x80
        length = self.integer(7)
        raw = self.block[self.at : self.at + length]
        self.at += length
        return (huffman_text(raw) if packed else raw).decode("latin-1")

    def entry(self, index):
        """Name and value; of the static table only :status matters here."""
        if index > len(STATIC_NAMES):
            return self.table[index - len(STATIC_NAMES) - 1]
        return STATIC_NAMES[index - 1], STATUSES[index - 8] if 8 <= index <= 14 else ""

    def evict(self):
        """Drop the oldest entries until the rest fits; each counts 32 bytes beside its text."""
        while sum(len(name) + len(value) + 32 for name, value in self.table) > self.limit:
            self.table.pop()


class Call:
    """One call on a connection of its own: one small message out, any number in."""

    def __init__(self, connection, reader, method, message):
        self.socket, self.reader = connection, reader
        self.headers, self.block, self.last, self.ended = Headers(), b"", False, False
        self.data, self.answer = bytearray(), {}
        fields = ((":method", "POST"), (":scheme", SCHEME), (":path", "/fmaas.GenerationService/" + method),
                  (":authority", TARGET), ("content-type", "application/grpc"), ("te", "trailers"))  # fmt: skip
        block = b"".join(b"\0" + literal(name) + literal(value) for name, value in fields)
        opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, block)
        # Far below the 65535 bytes that may be sent unasked (RFC 9113, 6.9.2), so no window is kept for this side.
        self.socket.sendall(opening + frame(DATA, END_STREAM, 1, struct.pack(">BI", 0, len(message)) + message))

    def messages(self):
        """Each message of the answer; then the status, raised as GrpcError unless it is OK."""
        while True:
            while len(self.data) >= 5 and len(self.data) >= 5 + struct.unpack(">I", self.data[1:5])[0]:
                size = struct.unpack(">I", self.data[1:5])[0]
                message = bytes(self.data[5 : 5 + size])
                del self.data[: 5 + size]
                yield message
            if self.ended:
                break
            self.receive()
        if "grpc-status" not in self.answer:
            raise GrpcError(2, f"no gRPC status, HTTP status {self.answer.get(':status')}")
        if self.answer["grpc-status"] != "0":
            raise GrpcError(int(self.answer["grpc-status"]), self.answer.get("grpc-message", ""))

    def receive(self):
        """One frame from the server, and what it asks for."""
        head = self.read(9)
        size, kind, flags = struct.unpack(">I", b"\0" + head[:3])[0], head[3], head[4]
        if size > FRAME_BYTES:
            raise OSError(f"a frame of {size} bytes: this is no HTTP/2")
        payload = self.read(size)
        if kind == SETTINGS and not flags & ACK:
            self.socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY and struct.unpack(">I", payload[:4])[0] == 0:
            raise OSError("the server is going away")
        elif kind == RST_STREAM:
            raise OSError(f"the server reset the stream (HTTP/2 error {payload[-1]})")
        elif kind == DATA:
            if size:  # the window of the connection, and the stream's
                opened = struct.pack(">I", size)
                self.socket.sendall(frame(WINDOW_UPDATE, 0, 0, opened) + frame(WINDOW_UPDATE, 0, 1, opened))
            self.data += unpadded(payload, flags)
            self.ended = bool(flags & END_STREAM)
        elif kind in (HEADERS, CONTINUATION):
            self.block += payload if kind == CONTINUATION else unpadded(payload, flags)
            self.last = self.last or (kind == HEADERS and bool(flags & END_STREAM))
            if flags & END_HEADERS:
                self.answer.update(self.headers.decode(self.block))
                self.block, self.ended = b"", self.last

    def read(self, size):
        """Exactly so many bytes."""
        raw = self.reader.read(size)
        if len(raw) < size:
            raise OSError("the connection was closed before the end of the answer")
        return raw


def frame(kind, flags, stream, payload=b""):
    """One frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(text):
    """A string of a header that needs no table; at most 126 bytes of length fit into one byte."""
    raw = text.encode()
    return bytes([len(raw)]) + raw if len(raw) < 127 else b"\x7f" + varint(len(raw) - 127) + raw


def unpadded(payload, flags):
    """A payload without padding and priority."""
    if flags & PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    return payload[5:] if flags & PRIORITY else payload


def varint(number):
    """A number of protobuf (and the tail of one of HPACK): seven bits a byte, the low ones first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(found) + bytes([number])


def field(number, value):
    """A field of protobuf: a number, or bytes (a text, a message)."""
    head = varint(number << 3 | (0 if isinstance(value, int) else 2))
    return head + (varint(value) if isinstance(value, int) else varint(len(value)) + value)


def fields(message):
    """Fields of a message of protobuf by number, each a list; numbers as int, the rest as bytes."""
    found, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or number()
            value, at = message[at : at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


def call(method, message, silence=SILENCE_SECONDS):
    """All messages of an answer, decoded."""
    host, _, port = TARGET.rpartition(":")
    connection = socket.create_connection((host.strip("[]"), int(port)), timeout=silence)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # windows are opened by small frames, at once
    if os.environ.get("CA_FILE"):
        context = ssl.create_default_context(cafile=os.environ["CA_FILE"])
        context.set_alpn_protocols(["h2"])
        connection = context.wrap_socket(connection, server_hostname=host.strip("[]"))
    with connection, connection.makefile("rb") as reader:
        return [fields(answer) for answer in Call(connection, reader, method, message).messages()]


def fail(text):
    """Say what failed, in one line."""
    print("FAILED:", text)
    sys.exit(1)


def wait_until_ready():
    """Ask for the model's limits until they come, at most until the deadline."""
    last = "no answer"
    while time.monotonic() < DEADLINE:
        try:
            (info,) = call("ModelInfo", field(1, MODEL.encode()), PROBE_SECONDS)
        except GrpcError as error:
            if error.code != UNAVAILABLE:
                raise
            last = str(error)
        except OSError as error:
            last = str(error)
        else:
            print("model info: max_sequence_length", info.get(2, [0])[0], "max_new_tokens", info.get(3, [0])[0])
            return
        time.sleep(max(0.0, min(PAUSE_SECONDS, DEADLINE - time.monotonic())))
    fail(f"{TARGET} is not ready before the deadline: {last}")


def check_tokens():
    """The tokenizer counts."""
    (answer,) = call("Tokenize", field(1, MODEL.encode()) + field(2, field(1, b"Hello world")))
    count = fields(answer[1][0]).get(1, [0])[0]
    if count < 1:
        fail("Hello world has no tokens")
    print("tokens of 'Hello world':", count)


def check_text():
    """A prompt gives text, at once and as a stream that ends with a reason."""
    prompt, limits = field(2, b"Hello"), field(10, field(3, field(1, 8)))  # at most 8 new tokens
    (answer,) = call("Generate", field(1, MODEL.encode()) + field(3, prompt) + limits)
    print("text:", repr(fields(answer[1][0]).get(4, [b""])[0].decode("utf-8", "replace")))
    pieces = call("GenerateStream", field(1, MODEL.encode()) + field(3, prompt) + limits)
    texts = [piece.get(4, [b""])[0] for piece in pieces]
    reason = pieces[-1].get(7, [0])[0] if pieces else 0
    if reason in (0, 3, 7):  # not finished, cancelled, error
        fail(f"the stream of {len(pieces)} messages ends with stop reason {reason}")
    print("stream:", len(pieces), "messages,", repr(b"".join(texts).decode("utf-8", "replace")), "stop reason", reason)


if __name__ == "__main__":
    try:
        wait_until_ready()
        check_tokens()
        check_text()
    except GrpcError as error:
        fail(error)
    except (OSError, LookupError, ValueError, struct.error) as error:
        fail(f"{type(error).__name__}: {error}")
    print("OK")
