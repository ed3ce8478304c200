"""A TGIS server that answers as each test tells it.

`script` holds, per method, what comes next: a StatusCode to refuse with; anything else is passed over, and the last
one stays. `pieces` is the text of a stream; a StatusCode among them breaks it off, "hang" keeps it open and silent.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from llm_serving_planner.clients.fmaas import file_descriptor

OK = "ok"
# What the real server sends beside what the client reads: it must be passed over.
UNKNOWN_TO_THE_CLIENT = (
    ("TokenInfo", "text", 2, Field.TYPE_STRING),
    ("TokenInfo", "logprob", 3, Field.TYPE_FLOAT),
    ("GenerationResponse", "seed", 10, Field.TYPE_UINT64),
    ("ModelInfoResponse", "model_kind", 1, Field.TYPE_UINT32),
)
METHODS = {
    "Generate": ("BatchedGenerationRequest", "BatchedGenerationResponse"),
    "GenerateStream": ("SingleGenerationRequest", "GenerationResponse"),
    "Tokenize": ("BatchedTokenizeRequest", "BatchedTokenizeResponse"),
    "ModelInfo": ("ModelInfoRequest", "ModelInfoResponse"),
}


def described() -> FileDescriptorProto:
    """The client's messages with the server's further fields, and the service that takes them."""
    file: FileDescriptorProto = file_descriptor()
    messages = {message.name: message for message in file.message_type}
    messages["TokenInfo"] = file.message_type.add(name="TokenInfo")
    for message, name, number, kind in UNKNOWN_TO_THE_CLIENT:
        messages[message].field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    messages["GenerationResponse"].field.add(
        name="tokens", number=8, type=Field.TYPE_MESSAGE, type_name=".fmaas.TokenInfo", label=Field.LABEL_REPEATED
    )
    service = file.service.add(name="GenerationService")
    for name, (request, response) in METHODS.items():
        service.method.add(
            name=name,
            input_type=f".fmaas.{request}",
            output_type=f".fmaas.{response}",
            server_streaming=name == "GenerateStream",
        )
    return file


class FakeTgis:
    """The server; `target` is HOST:PORT."""

    def __init__(self, file: FileDescriptorProto, port: int = 0, tls: tuple[bytes, bytes] | None = None) -> None:
        pool = DescriptorPool()
        pool.AddSerializedFile(file.SerializeToString())
        self.types = {m.name: GetMessageClass(pool.FindMessageTypeByName(f"fmaas.{m.name}")) for m in file.message_type}
        self.pieces: list[Any] = ["Hel", "lo"]
        self.script: dict[str, list[Any]] = {}
        self.details = "no"
        self.reason = 1
        self.requests: list[tuple[str, Any, dict[str, str]]] = []
        self.closing = threading.Event()
        self.server = grpc.server(ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers((self._handlers(file),))
        if tls is None:
            self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        else:  # key and certificate
            self.port = self.server.add_secure_port(f"localhost:{port}", grpc.ssl_server_credentials([tls]))
        self.target = f"127.0.0.1:{self.port}"
        self.server.start()

    def close(self) -> None:
        """Stop at once."""
        self.closing.set()
        self.server.stop(0).wait()

    def _handlers(self, file: FileDescriptorProto) -> Any:
        handlers = {}
        for method in file.service[0].method:
            request, response = (self.types[name.split(".")[-1]] for name in (method.input_type, method.output_type))
            kind = (
                grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
            )
            answer = self._streamed(response) if method.server_streaming else self._whole(method.name, response)
            handlers[method.name] = kind(answer, request.FromString, response.SerializeToString)
        return grpc.method_handlers_generic_handler("fmaas.GenerationService", handlers)

    def _begin(self, method: str, request: Any, context: Any) -> None:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self.requests.append((method, request, metadata))
        left = self.script.get(method, [OK])
        status = left.pop(0) if len(left) > 1 else left[0]
        if status == "hang":
            self.closing.wait(30)
        elif status != OK:
            context.abort(status, self.details)

    def _whole(self, method: str, response: Any) -> Callable[[Any, Any], Any]:
        def answer(request: Any, context: Any) -> Any:
            self._begin(method, request, context)
            if method == "ModelInfo":
                return response(model_kind=0, max_sequence_length=2048, max_new_tokens=1024)
            if method == "Tokenize":
                counts = [{"token_count": len(one.text.split())} for one in request.requests]
                return response(responses=counts)
            text = "".join(piece for piece in self.pieces if isinstance(piece, str))
            count = len(self.pieces)
            answers = [
                {"text": text, "generated_token_count": count, "input_token_count": 3, "stop_reason": self.reason,
                 "tokens": [{"text": text, "logprob": -0.5}]}
                for _ in request.requests
            ]  # fmt: skip
            return response(responses=answers)

        return answer

    def _streamed(self, response: Any) -> Callable[[Any, Any], Iterator[Any]]:
        def answer(request: Any, context: Any) -> Iterator[Any]:
            self._begin("GenerateStream", request, context)
            yield response(input_token_count=3, seed=2**40)
            for number, piece in enumerate(self.pieces, 1):
                if piece == "hang":
                    self.closing.wait(30)
                elif isinstance(piece, grpc.StatusCode):
                    context.abort(piece, self.details)
                else:
                    last = number == len(self.pieces)
                    yield response(text=piece, generated_token_count=number, stop_reason=self.reason if last else 0)

        return answer
