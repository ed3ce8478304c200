# Made by `make generate` from generator/llm_serving_planner/clients/fmaas.py; change that file.
"""Messages of TGIS's gRPC API (package fmaas), declared by hand and built when they are needed.

Source: https://github.com/opendatahub-io/text-generation-inference/blob/1db8cf0/proto/generation.proto (2026-11-25),
the fields that the client sends or reads; protobuf passes over the others. Built at run time because generated code
refuses every protobuf older than the compiler that wrote it, and needs that compiler (grpcio-tools) to be checked,
while this table works with every protobuf since 4.25.3, which TGIS's own image has (tried on 2026-11-29, with grpcio
1.62.2). On 2026-11-25 it was compared with the compiled original, field by field.

It is copied into the chart for `helm test` (tools/derived/supervisor_files.py), so it imports nothing of this package.
"""

from typing import Any

PACKAGE = "fmaas"
SERVICE = "fmaas.GenerationService"
_FILE = "fmaas.proto"

ENUMS = {
    "DecodingMethod": ("GREEDY", "SAMPLE"),
    "StopReason": (
        "NOT_FINISHED", "MAX_TOKENS", "EOS_TOKEN", "CANCELLED", "TIME_LIMIT", "STOP_SEQUENCE", "TOKEN_LIMIT", "ERROR",
    ),
}  # fmt: skip
"""Names in the order of their numbers, from 0."""

MESSAGES = {
    "BatchedGenerationRequest": """
        string model_id = 1; repeated GenerationRequest requests = 3; Parameters params = 10""",
    "SingleGenerationRequest": "string model_id = 1; GenerationRequest request = 3; Parameters params = 10",
    "BatchedGenerationResponse": "repeated GenerationResponse responses = 1",
    "GenerationRequest": "string text = 2",
    "GenerationResponse": """
        uint32 generated_token_count = 2; string text = 4; uint32 input_token_count = 6; StopReason stop_reason = 7""",
    "Parameters": "DecodingMethod method = 1; SamplingParameters sampling = 2; StoppingCriteria stopping = 3",
    "SamplingParameters": "float temperature = 1; float top_p = 3; optional uint64 seed = 5",
    "StoppingCriteria": """
        uint32 max_new_tokens = 1; repeated string stop_sequences = 4; optional bool include_stop_sequence = 5""",
    "BatchedTokenizeRequest": "string model_id = 1; repeated TokenizeRequest requests = 2",
    "BatchedTokenizeResponse": "repeated TokenizeResponse responses = 1",
    "TokenizeRequest": "string text = 1",
    "TokenizeResponse": "uint32 token_count = 1",
    "ModelInfoRequest": "string model_id = 1",
    "ModelInfoResponse": "uint32 max_sequence_length = 2; uint32 max_new_tokens = 3",
}
"""Fields of each message, as a .proto file writes them."""


def file_descriptor() -> Any:
    """The tables as a FileDescriptorProto."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto(name=_FILE, package=PACKAGE, syntax="proto3")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for line in fields.split(";"):
            _add_field(message, line.split())
    return file


def _add_field(message: Any, words: list[str]) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    *labels, kind, name, _, number = words
    field = message.field.add(name=name, number=int(number), label=Field.LABEL_OPTIONAL)
    if "repeated" in labels:
        field.label = Field.LABEL_REPEATED
    if "optional" in labels:  # proto3: presence is a oneof with one member
        field.proto3_optional, field.oneof_index = True, len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")
    if kind in ENUMS or kind in MESSAGES:
        field.type = Field.TYPE_ENUM if kind in ENUMS else Field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"
    else:
        field.type = getattr(Field, f"TYPE_{kind.upper()}")


def message_classes() -> dict[str, Any]:
    """The class of each message, in a pool of their own beside whatever else the process has loaded."""
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    pool = DescriptorPool()
    pool.AddSerializedFile(file_descriptor().SerializeToString())
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}
