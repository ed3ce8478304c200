"""Derive the schemas by which the chart's routes are judged, from the APIs' own definitions.

PYTHONPATH=tools python -m data.route_schemas GATEWAY_API INFERENCE_EXTENSION OPENSHIFT_API

Each argument is a folder of the Go module proxy (`go mod download -json MODULE@VERSION` prints it): of
sigs.k8s.io/gateway-api, sigs.k8s.io/gateway-api-inference-extension and github.com/openshift/api, all Apache-2.0; the
folder's name holds the version. Written is tests/data/schemas/*.json: the keys that the chart may write, every other
key refused. What a CRD says in CEL rules is not in them.
"""

from pathlib import Path

from data.node_schemas import OUT, Json, annotated, custom_resource, sources, write

BACKEND: Json = {"group": {}, "kind": {}, "name": {}, "port": {}}
PARENT: Json = {"name": {}, "namespace": {}, "sectionName": {}, "port": {}, "kind": {}, "group": {}}
HEADERS: Json = {"set": {"name": {}, "value": {}}, "add": {"name": {}, "value": {}}, "remove": {}}
FILTER: Json = {
    "type": {},
    "urlRewrite": {"hostname": {}, "path": {"type": {}, "replacePrefixMatch": {}, "replaceFullPath": {}}},
    "requestHeaderModifier": HEADERS,
    "responseHeaderModifier": HEADERS,
    "extensionRef": {"group": {}, "kind": {}, "name": {}},
}
HTTP_ROUTE: Json = {
    "parentRefs": PARENT,
    "hostnames": {},
    "rules": {
        "matches": {"path": {"type": {}, "value": {}}},
        "timeouts": {"request": {}, "backendRequest": {}},
        "filters": FILTER,
        "backendRefs": BACKEND,
    },
}
GRPC_FILTER: Json = {key: keep for key, keep in FILTER.items() if key != "urlRewrite"}
GRPC_ROUTE: Json = {
    "parentRefs": PARENT,
    "hostnames": {},
    "rules": {"matches": {"method": {"type": {}, "service": {}}}, "filters": GRPC_FILTER, "backendRefs": BACKEND},
}
BACKEND_TLS: Json = {
    "targetRefs": {"group": {}, "kind": {}, "name": {}, "sectionName": {}},
    "validation": {"hostname": {}, "caCertificateRefs": {"group": {}, "kind": {}, "name": {}}},
}
POOL: Json = {
    "selector": {"matchLabels": {}},
    "targetPorts": {"number": {}},
    "endpointPickerRef": {"name": {}, "port": {"number": {}}, "failureMode": {}},
}
ROUTE: Json = {
    "host": {},
    "path": {},
    "port": {"targetPort": {}},
    "to": {"kind": {}, "name": {}, "weight": {}},
    "tls": {"termination": {}, "insecureEdgeTerminationPolicy": {}, "destinationCACertificate": {}},
}


def derive(folder: str, path: str, version: str, keep: Json) -> None:
    """One CRD of one module as a schema."""
    module, _, release = folder.split("/mod/", 1)[-1].rstrip("/").partition("@")
    crd = (Path(folder) / path).read_text(encoding="utf-8")
    schema = annotated(custom_resource(crd, version, keep, namespaced=True))
    comment = f"DERIVED by tools/data/route_schemas.py from {module} {release} (Apache-2.0): {path}"
    write(OUT / f"{schema['properties']['kind']['const']}.json", comment, schema)


def main() -> None:
    """Read three folders, write five schemas."""
    gateway, inference, openshift = sources(__doc__, "GATEWAY_API", "INFERENCE_EXTENSION", "OPENSHIFT_API")
    for name, keep in (("httproutes", HTTP_ROUTE), ("grpcroutes", GRPC_ROUTE), ("backendtlspolicies", BACKEND_TLS)):
        derive(gateway, f"config/crd/standard/gateway.networking.k8s.io_{name}.yaml", "v1", keep)
    derive(inference, "config/crd/bases/inference.networking.k8s.io_inferencepools.yaml", "v1", POOL)
    derive(openshift, "route/v1/zz_generated.crd-manifests/routes.crd.yaml", "v1", ROUTE)


if __name__ == "__main__":
    main()
