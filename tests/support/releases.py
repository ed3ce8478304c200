"""Small releases that many tests of the chart change: each controller, each engine, each autoscaler."""

from typing import Any

from support.helm import merge

BASE: dict[str, Any] = {"model": {"id": "org/model"}, "storage": {"type": "emptyDir"}}
LWS = {"parallelism": {"tensor": 2, "nodes": 2, "controller": "leaderworkerset"}}
STATEFULSET = merge(LWS, {"parallelism": {"controller": "statefulset"}})
RAY = merge(LWS, {"parallelism": {"controller": "raycluster", "executor": "ray"}, "engine": {"hasRay": True}})
TGI = {"engine": {"type": "tgi", "version": "3.3.7"}, "security": {"allowRoot": True}}
TGIS = {"engine": {"type": "tgis", "version": "1db8cf0"}}
HPA = {"scaling": {"hpa": {"enabled": True}}}
KEDA = {"scaling": {"keda": {"enabled": True, "serverAddress": "http://p:9090"}}}
ENGINES: dict[str, dict[str, Any]] = {"vllm": {}, "tgi": TGI, "tgis": TGIS}
