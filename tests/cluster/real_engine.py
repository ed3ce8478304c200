"""The real vLLM on CPUs, with a model small enough for a test."""

import os
from typing import Any

CPU_IMAGE = os.environ.get("LLM_SERVING_CPU_IMAGE", "")


def on_cpus(standin: dict[str, Any], budget: int) -> dict[str, Any]:
    """Image, model and sizes of a test; `budget` is the start-up budget in seconds."""
    repository, tag = CPU_IMAGE.rsplit(":", 1)
    return {
        "model": {"id": "tiny", "path": "/models/tiny", "servedName": "tiny"},
        "engine": {
            "image": {"registry": "", "repository": repository, "tag": tag, "pullPolicy": "Never"},
            "args": {"max-model-len": 256, "max-num-seqs": 4, "max-num-batched-tokens": 256, "enforce-eager": True},
            "env": {"VLLM_CPU_KVCACHE_SPACE": "1"},
        },
        "cpu": {"request": "200m"},
        "memory": {"sharedMemory": "1Gi", "host": {"request": "1Gi", "limit": "6Gi"}},
        "storage": {"type": "emptyDir", "size": "1Gi"},
        "startup": {"budgetSeconds": budget, "imagePullSeconds": 60},
        "drain": {"preStopSeconds": 1, "shutdownTimeoutSeconds": 5},
        "test": standin["test"],
    }
