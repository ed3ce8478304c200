"""Refusals of _validate_use.tpl: exact texts, and neighbours that pass."""

from typing import Any

from support.helm import merge
from support.refusals import Refusal, refusal_tests

BASE: dict[str, Any] = {"model": {"id": "org/model", "servedName": "m"}, "storage": {"type": "emptyDir"}}
SQL = {"name": "sql", "id": "org/sql"}
TGI: dict[str, Any] = {
    "model": {"servedName": ""},
    "engine": {"type": "tgi", "version": "3.3.7"},
    "security": {"allowRoot": True},
}
TGIS: dict[str, Any] = {"model": {"servedName": ""}, "engine": {"type": "tgis", "version": "1db8cf0"}}
EAGLE: dict[str, Any] = {"method": "eagle3", "id": "org/head"}
TWO_STAGES: dict[str, Any] = {"parallelism": {"pipeline": 2, "gpusPerNode": 2}}
CASES: dict[str, Refusal] = {
    "adapters of TGI": (
        merge(TGI, {"engine": {"lora": {"adapters": [SQL]}}}),
        "engine.lora.adapters is set, but engine.type is tgi, which does not know it. Clear it, use "
        "engine.args.lora-adapters of TGI, or set engine.type=vllm.",
        merge(TGI, {"engine": {"args": {"lora-adapters": "sql=org/sql"}}}),
    ),
    "drafts of TGI": (
        merge(TGI, {"engine": {"speculative": {"method": "ngram"}}}),
        "engine.speculative.method is set, but engine.type is tgi, which does not know it. Clear it, use "
        "engine.args.speculate of TGI, or set engine.type=vllm.",
        merge(TGI, {"engine": {"args": {"speculate": 2}}}),
    ),
    "vectors of TGIS": (
        merge(TGIS, {"model": {"task": "embed"}}),
        "model.task is set, but engine.type is tgis, which does not know it. Clear it, or set engine.type=vllm.",
        {"model": {"task": "embed"}},
    ),
    "aliases of TGIS": (
        merge(TGIS, {"model": {"aliases": ["a"]}}),
        "model.aliases is set, but engine.type is tgis, which does not know it. Clear it, or set engine.type=vllm.",
        {"model": {"aliases": ["a"]}},
    ),
    "template of TGIS": (
        merge(TGIS, {"engine": {"chatTemplate": {"text": "x"}}}),
        "engine.chatTemplate is set, but engine.type is tgis, which does not know it. Clear it, or set "
        "engine.type=vllm.",
        {"engine": {"chatTemplate": {"text": "x"}}},
    ),
    "offload of TGI": (
        merge(TGI, {"engine": {"kvOffload": {"sizeGiB": 1}}}),
        "engine.kvOffload.sizeGiB is set, but engine.type is tgi, which does not know it. Clear it, or set "
        "engine.type=vllm.",
        {"engine": {"kvOffload": {"sizeGiB": 1}}},
    ),
    "adapter without source": (
        {"engine": {"lora": {"adapters": [{"name": "sql"}]}}},
        "engine.lora.adapters[0] (sql) needs either id or path, and has neither. Give a hub id, or a folder in the "
        "container.",
        {"engine": {"lora": {"adapters": [SQL]}}},
    ),
    "adapter from two places": (
        {"engine": {"lora": {"adapters": [{**SQL, "path": "/x"}]}}},
        "engine.lora.adapters[0] (sql) needs either id or path, and has both. Give a hub id, or a folder in the "
        "container.",
        {"engine": {"lora": {"adapters": [{"name": "sql", "path": "/x"}]}}},
    ),
    "a name twice": (
        {"model": {"aliases": ["sql"]}, "engine": {"lora": {"adapters": [SQL]}}},
        "model.servedName, model.aliases and engine.lora.adapters tell a name twice (m, sql, sql). Each is one name "
        "of the API.",
        {"model": {"aliases": ["sql-1"]}, "engine": {"lora": {"adapters": [SQL]}}},
    ),
    "too few in host memory": (
        {"engine": {"lora": {"adapters": [SQL], "maxLoras": 2, "maxCpuLoras": 1}}},
        "engine.lora.maxCpuLoras (1) is below engine.lora.maxLoras (2): adapters pass through host memory. Raise it, "
        "or set it to 0.",
        {"engine": {"lora": {"adapters": [SQL], "maxLoras": 2, "maxCpuLoras": 2}}},
    ),
    "head without model": (
        {"engine": {"speculative": {"method": "eagle3"}}},
        "engine.speculative.method is eagle3, which needs either engine.speculative.id or engine.speculative.path, "
        "and has neither. Name the model that drafts.",
        {"engine": {"speculative": {"method": "eagle3", "path": "/llm/models/head"}}},
    ),
    "ngram with model": (
        {"engine": {"speculative": {"method": "ngram", "id": "org/head"}}},
        "engine.speculative names a model (org/head), but engine.speculative.method (ngram) has none. Clear it, or "
        "choose eagle, eagle3 or draft_model.",
        {"engine": {"speculative": {"method": "ngram"}}},
    ),
    "model without method": (
        {"engine": {"speculative": {"id": "org/head"}}},
        "engine.speculative names a model (org/head), but engine.speculative.method (empty) has none. Clear it, or "
        "choose eagle, eagle3 or draft_model.",
        {"engine": {"speculative": EAGLE}},
    ),
    "drafts over stages": (
        merge(TWO_STAGES, {"engine": {"speculative": EAGLE}}),
        "engine.speculative.method is eagle3, but parallelism.pipeline is 2: vLLM refuses drafts over several stages "
        "for most models. Set parallelism.pipeline=1, or clear the method.",
        {"parallelism": {"tensor": 2, "gpusPerNode": 2}, "engine": {"speculative": EAGLE}},
    ),
    "a field of the chart": (
        {"engine": {"speculative": {**EAGLE, "options": {"model": "x"}}}},
        "engine.speculative.options.model is set by the chart. Use engine.speculative.",
        {"engine": {"speculative": {**EAGLE, "options": {"draft_tensor_parallel_size": 1}}}},
    ),
    "two templates": (
        {"engine": {"chatTemplate": {"file": "/x.jinja", "text": "x"}}},
        "engine.chatTemplate.file (/x.jinja) and engine.chatTemplate.text are both set. Keep one.",
        {"engine": {"chatTemplate": {"file": "/x.jinja"}}},
    ),
    "offload beyond shared memory": (
        {"engine": {"kvOffload": {"sizeGiB": 2}}},
        "engine.kvOffload.sizeGiB (2) does not fit memory.sharedMemory (2Gi), where the cache's copy lies. Raise "
        "memory.sharedMemory, memory.host.request and memory.host.limit by it.",
        {"engine": {"kvOffload": {"sizeGiB": 1.5}}},
    ),
    "tools without parser": (
        {"engine": {"args": {"enable-auto-tool-choice": True}}},
        "engine.args.enable-auto-tool-choice is true, but engine.args.tool-call-parser is not set, and vLLM does not "
        "start so. Name the model's parser.",
        {"engine": {"args": {"enable-auto-tool-choice": True, "tool-call-parser": "hermes"}}},
    ),
    "vectors with drafts": (
        {"model": {"task": "embed"}, "engine": {"speculative": EAGLE}},
        "model.task is embed, which writes no text, but drafts or tools are set. Clear engine.speculative.method and "
        "engine.args.enable-auto-tool-choice, or set model.task=generate.",
        {"model": {"task": "embed"}},
    ),
    "runner by hand": (
        {"engine": {"args": {"runner": "pooling"}}},
        "engine.args.runner is set by the chart. Use model.task.",
        {"model": {"task": "pooling"}},
    ),
    "vectors of an old version": (
        {"model": {"task": "embed"}, "engine": {"version": "0.9.2"}, "drain": {"shutdownTimeoutSeconds": 0}},
        "model.task is set, but vLLM 0.9.2 has no --runner. Set a newer engine.version, or clear the key.",
        {"model": {"task": "embed"}, "engine": {"version": "0.10.2"}, "drain": {"shutdownTimeoutSeconds": 0}},
    ),
    "adapters by hand": (
        {"engine": {"args": {"lora-modules": ["a=b"]}}},
        "engine.args.lora-modules is set by the chart. Use engine.lora.adapters.",
        {"engine": {"lora": {"adapters": [SQL]}}},
    ),
}


test_refused_with_the_exact_text, test_the_neighbour_passes = refusal_tests(BASE, CASES)
