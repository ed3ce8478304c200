"""Derive the schemas by which the chart's monitors, rules and scalers are judged, from their operators' own CRDs.

PYTHONPATH=tools python -m data.operation_schemas PROMETHEUS_OPERATOR KEDA KUEUE

Each argument is an unpacked Go module: `go mod download -json MODULE` prints its folder, with MODULE
github.com/prometheus-operator/prometheus-operator@v0.85.0,
github.com/kedacore/keda/v2@v2.21.0 and sigs.k8s.io/kueue@v0.17.0, all Apache-2.0. Written is
tests/data/schemas/*.json: the keys that the chart may write, every other key refused (see node_schemas.py).
Kueue's part is the names of the labels that admit a workload, and which versions of its API are served.
"""

import json
import re
from pathlib import Path

import yaml

from data.node_schemas import OUT, Json, annotated, custom_resource, sources, write

LABELS: Json = {"matchLabels": {}}
RELABELING: Json = {
    "sourceLabels": {}, "separator": {}, "targetLabel": {}, "regex": {}, "modulus": {}, "replacement": {}, "action": {},
}  # fmt: skip
REFERENCE: Json = {"name": {}, "key": {}, "optional": {}}
ENDPOINT: Json = {
    "port": {}, "path": {}, "interval": {}, "scrapeTimeout": {}, "scheme": {}, "relabelings": RELABELING,
    "metricRelabelings": RELABELING,
    "tlsConfig": {"ca": {"secret": REFERENCE, "configMap": REFERENCE}, "serverName": {}, "insecureSkipVerify": {}},
}  # fmt: skip
MONITOR: Json = {"podTargetLabels": {}, "selector": LABELS, "namespaceSelector": {"matchNames": {}}}
SERVICE_MONITOR: Json = {**MONITOR, "endpoints": ENDPOINT}
POD_MONITOR: Json = {**MONITOR, "podMetricsEndpoints": ENDPOINT}
RULE: Json = {
    "groups": {
        "name": {}, "rules": {"alert": {}, "record": {}, "expr": {}, "for": {}, "labels": {}, "annotations": {}},
    },
}  # fmt: skip
BEHAVIOR: Json = {
    "stabilizationWindowSeconds": {}, "selectPolicy": {}, "policies": {"type": {}, "value": {}, "periodSeconds": {}},
}  # fmt: skip
SCALED_OBJECT: Json = {
    "scaleTargetRef": {"apiVersion": {}, "kind": {}, "name": {}},
    "minReplicaCount": {},
    "maxReplicaCount": {},
    "pollingInterval": {},
    "cooldownPeriod": {},
    "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": BEHAVIOR, "scaleDown": BEHAVIOR}}},
    "triggers": {
        "type": {},
        "name": {},
        "metricType": {},
        "metadata": {},
        "authenticationRef": {"name": {}, "kind": {}},
    },
    "fallback": {"failureThreshold": {}, "replicas": {}, "behavior": {}},
}
MONITORS = (
    ("ServiceMonitor", "servicemonitors", SERVICE_MONITOR),
    ("PodMonitor", "podmonitors", POD_MONITOR),
    ("PrometheusRule", "prometheusrules", RULE),
)


def origin(folder: Path, path: str) -> str:
    """Where a schema comes from."""
    module = "/".join(folder.parts[-3:])
    return f"DERIVED by tools/data/operation_schemas.py from {module}: {path} (Apache-2.0)"


def main() -> None:
    """Read three modules, write five files."""
    operator, keda, kueue = (Path(name) for name in sources(__doc__, "PROMETHEUS_OPERATOR", "KEDA", "KUEUE"))
    for kind, name, keep in MONITORS:
        path = f"example/prometheus-operator-crd/monitoring.coreos.com_{name}.yaml"
        crd = (operator / path).read_text(encoding="utf-8")
        write(
            OUT / f"{kind}.json", origin(operator, path), annotated(custom_resource(crd, "v1", keep, namespaced=True))
        )
    path = "config/crd/bases/keda.sh_scaledobjects.yaml"
    crd = (keda / path).read_text(encoding="utf-8")
    scaled = annotated(custom_resource(crd, "v1alpha1", SCALED_OBJECT, namespaced=True))
    write(OUT / "ScaledObject.json", origin(keda, path), scaled)
    source = (kueue / "pkg/controller/constants/constants.go").read_text(encoding="utf-8")
    path = "config/components/crd/bases/kueue.x-k8s.io_localqueues.yaml"
    queues = yaml.safe_load((kueue / path).read_text(encoding="utf-8"))
    frameworks = sorted(entry.name for entry in (kueue / "pkg/controller/jobs").iterdir() if entry.is_dir())
    facts = {
        "$comment": origin(kueue, f"pkg/controller/constants/constants.go, pkg/controller/jobs, {path}"),
        "labels": re.findall(r'"(kueue\.x-k8s\.io/(?:queue-name|priority-class))"', source),
        "served": [version["name"] for version in queues["spec"]["versions"] if version["served"]],
        "frameworks": frameworks,
    }
    (OUT / "kueue.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
