"""Objects of Kubernetes' own that values pass through: the schema says `object`, the description says of which kind.

A document that calls {"a": 1} a toleration is as valid by the schema as it is wrong by its description. So what stands
at such a key is drawn from the kind that the description names, and its optional parts come and go.
"""

from typing import Any

import yaml
from fuzz.strategies import JSON, TEXT
from hypothesis import strategies as st

Objects = st.SearchStrategy[Any]
# names of objects, of claims and of parts of pods
NAME = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
LABEL = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?", fullmatch=True)
LABEL_NAME = st.one_of(LABEL, st.sampled_from(["kubernetes.io/hostname", "app.kubernetes.io/name", "example.com/team"]))
LABELS = st.dictionaries(LABEL_NAME, LABEL, max_size=2)
SELECTOR = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": LABELS,
        "matchExpressions": st.lists(
            st.one_of(
                st.fixed_dictionaries(
                    {"key": LABEL_NAME, "operator": st.sampled_from(["In", "NotIn"]),
                     "values": st.lists(LABEL, min_size=1, max_size=2)}
                ),
                st.fixed_dictionaries({"key": LABEL_NAME, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
            ),
            max_size=2,
        ),
    },
)  # fmt: skip
EFFECT = st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"])
TOLERATION = st.one_of(
    st.just({"operator": "Exists"}),
    st.fixed_dictionaries({"key": LABEL_NAME, "operator": st.just("Exists")}, optional={"effect": EFFECT}),
    st.fixed_dictionaries({"key": LABEL_NAME, "value": LABEL}, optional={"effect": EFFECT}),
    st.fixed_dictionaries(
        {"key": LABEL_NAME, "operator": st.just("Exists"), "effect": st.just("NoExecute")},
        optional={"tolerationSeconds": st.integers(0, 10**6)},
    ),
)
NODE_TERM = st.fixed_dictionaries(
    {
        "matchExpressions": st.lists(
            st.one_of(
                st.fixed_dictionaries({"key": LABEL_NAME, "operator": st.just("In"), "values": st.just(["a"])}),
                st.fixed_dictionaries({"key": LABEL_NAME, "operator": st.just("Gt"), "values": st.just(["7"])}),
            ),
            min_size=1,
            max_size=2,
        )
    }
)
POD_TERM = st.fixed_dictionaries(
    {"topologyKey": st.sampled_from(["kubernetes.io/hostname", "topology.kubernetes.io/zone"])},
    optional={"labelSelector": SELECTOR, "namespaces": st.lists(NAME, max_size=2)},
)
POD_AFFINITY = st.fixed_dictionaries(
    {},
    optional={
        "requiredDuringSchedulingIgnoredDuringExecution": st.lists(POD_TERM, max_size=2),
        "preferredDuringSchedulingIgnoredDuringExecution": st.lists(
            st.fixed_dictionaries({"weight": st.integers(1, 100), "podAffinityTerm": POD_TERM}), max_size=2
        ),
    },
)
AFFINITY = st.fixed_dictionaries(
    {},
    optional={
        "podAffinity": POD_AFFINITY,
        "podAntiAffinity": POD_AFFINITY,
        "nodeAffinity": st.fixed_dictionaries(
            {},
            optional={
                "requiredDuringSchedulingIgnoredDuringExecution": st.fixed_dictionaries(
                    {"nodeSelectorTerms": st.lists(NODE_TERM, min_size=1, max_size=2)}
                ),
                "preferredDuringSchedulingIgnoredDuringExecution": st.lists(
                    st.fixed_dictionaries({"weight": st.integers(1, 100), "preference": NODE_TERM}), max_size=2
                ),
            },
        ),
    },
)
CIDR = st.sampled_from(["10.0.0.0/8", "192.168.7.0/24", "0.0.0.0/0", "2001:db8::/32"])
PEER = st.one_of(
    st.fixed_dictionaries({"podSelector": SELECTOR}),
    st.fixed_dictionaries({"namespaceSelector": SELECTOR}, optional={"podSelector": SELECTOR}),
    st.fixed_dictionaries({"ipBlock": st.fixed_dictionaries({"cidr": CIDR})}),
)
EGRESS = st.fixed_dictionaries(
    {},
    optional={
        "to": st.lists(PEER, max_size=2),
        "ports": st.lists(
            st.fixed_dictionaries(
                {"port": st.integers(1, 65535)}, optional={"protocol": st.sampled_from(["TCP", "UDP"])}
            ),
            max_size=2,
        ),
    },
)
SPREAD = st.fixed_dictionaries(
    {
        "maxSkew": st.integers(1, 5),
        "topologyKey": LABEL_NAME,
        "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
    },
    optional={"labelSelector": SELECTOR},
)
QUANTITY = st.sampled_from(["100m", "1", "1.5"])
MEMORY = st.sampled_from(["64Mi", "1Gi", "1.5Gi"])
MORE_OF_A_CONTAINER: dict[str, Objects] = {
    "command": st.lists(TEXT, min_size=1, max_size=3),
    "args": st.lists(TEXT, max_size=3),
    "env": st.dictionaries(LABEL, TEXT, max_size=2).map(
        lambda env: [{"name": name, "value": value} for name, value in env.items()]
    ),
    "ports": st.just([{"name": "side", "containerPort": 9999}]),
    "resources": st.fixed_dictionaries({"requests": st.fixed_dictionaries({"cpu": QUANTITY, "memory": MEMORY})}),
    "workingDir": st.just("/tmp"),
    "imagePullPolicy": st.sampled_from(["Always", "IfNotPresent", "Never"]),
    "volumeMounts": st.sampled_from(
        [[], [{"name": "tmp", "mountPath": "/tmp"}], [{"name": "models", "mountPath": "/m"}]]
    ),
    "securityContext": st.sampled_from([{}, {"runAsUser": 1000}, {"readOnlyRootFilesystem": False}]),
}
# Of all flags those that the chart itself looks at come first.
FLAG = st.one_of(
    st.sampled_from(["load-format", "max-model-len", "served-model-name", "no-enable-prefix-caching", "dtype"]),
    st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True),
)
FLAG_VALUE = st.one_of(
    TEXT, st.booleans(), st.integers(0, 10**8), st.floats(0, 1), st.lists(JSON, max_size=2),
    st.dictionaries(LABEL, JSON, max_size=2),
)  # fmt: skip
CEL = st.sampled_from(["device.driver == 'gpu.example.com'", "device.attributes['a.b'].c == \"x\"", "true"])
VARIABLE = st.sampled_from(
    ["VLLM_LOGGING_LEVEL", "HF_TOKEN", "HOME", "NCCL_DEBUG", "A", "a.b", "HF_HUB_ENABLE_HF_TRANSFER", "VLLM_HOST_IP"]
)
SOURCE = st.one_of(
    st.fixed_dictionaries({"fieldRef": st.just({"fieldPath": "metadata.name"})}),
    st.fixed_dictionaries(
        {"secretKeyRef": st.fixed_dictionaries({"name": NAME, "key": LABEL}, optional={"optional": st.booleans()})}
    ),
    st.fixed_dictionaries({"configMapKeyRef": st.fixed_dictionaries({"name": NAME, "key": LABEL})}),
)
EXTRA_ENV = st.one_of(
    st.fixed_dictionaries({"name": VARIABLE}, optional={"value": TEXT}),
    st.fixed_dictionaries({"name": VARIABLE, "valueFrom": SOURCE}),
)
VOLUME: Objects = st.one_of(
    st.just({"emptyDir": {}}),
    st.fixed_dictionaries({"configMap": st.fixed_dictionaries({"name": NAME})}),
    st.fixed_dictionaries(
        {"secret": st.fixed_dictionaries({"secretName": NAME}, optional={"optional": st.booleans()})}
    ),
    st.fixed_dictionaries({"persistentVolumeClaim": st.fixed_dictionaries({"claimName": NAME})}),
)
# seldom one of the chart's own names, or a mount of what is not there
VOLUME_NAME = st.one_of(*[st.sampled_from(["extra-a", "extra-b", "extra-c"])] * 9, st.sampled_from(["models", "tls"]))
VOLUMES = st.lists(
    st.builds(lambda name, source: {"name": name, **source}, VOLUME_NAME, VOLUME),
    max_size=3,
    unique_by=lambda volume: volume["name"],
)
MOUNTS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.one_of(VOLUME_NAME, st.sampled_from(["home", "tmp"])),
            "mountPath": st.one_of(st.sampled_from(["/extra/a", "/extra/b"]), st.sampled_from(["/x", "/tmp"])),
        },
        optional={"readOnly": st.booleans(), "subPath": st.just("a/b")},
    ),
    max_size=3,
)
CONFIG_MAP = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.just("ConfigMap"),
        "metadata": st.fixed_dictionaries(
            {"name": st.one_of(NAME.map("extra-{}".format), st.just("{{ .Release.Name }}-extra"))}
        ),
        "data": st.dictionaries(LABEL, TEXT.filter(lambda text: "{{" not in text), max_size=2),
    }
)
EXTRA_OBJECT = st.one_of(CONFIG_MAP, CONFIG_MAP.map(lambda manifest: yaml.safe_dump(manifest, allow_unicode=True)))


def _name(manifest: Any) -> Any:
    return (yaml.safe_load(manifest) if isinstance(manifest, str) else manifest)["metadata"]["name"]


def containers(named: Objects) -> Objects:
    """Containers with more than what the schema asks of them. `named` draws the list of those."""
    more = st.fixed_dictionaries({}, optional=MORE_OF_A_CONTAINER)
    return st.builds(
        lambda own, extra: [{**extra, "name": one["name"], "image": one["image"]} for one in own], named, more
    )


POLICY = st.fixed_dictionaries(
    {"type": st.sampled_from(["Pods", "Percent"]), "value": st.integers(1, 50), "periodSeconds": st.integers(1, 1800)}
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "stabilizationWindowSeconds": st.integers(0, 3600), "policies": st.lists(POLICY, max_size=2),
        "selectPolicy": st.sampled_from(["Min", "Max", "Disabled"]),
    },
)  # fmt: skip
METRIC = st.just(
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
)
TRIGGER = st.just({"type": "cron", "metadata": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *"}})
RELABELING = st.fixed_dictionaries(
    {"action": st.sampled_from(["replace", "drop", "keep"])},
    optional={"sourceLabels": st.just(["pod"]), "targetLabel": st.just("node"), "regex": TEXT, "replacement": TEXT},
)
RULE = st.fixed_dictionaries({"alert": st.just("Own"), "expr": TEXT.filter(bool)}, optional={"for": st.just("5m")})
FILTER = st.just({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}})
DNS = st.fixed_dictionaries(
    {}, optional={"nameservers": st.just(["10.0.0.10"]), "searches": st.just(["a.example"]),
                  "options": st.just([{"name": "ndots", "value": "2"}])}
)  # fmt: skip
AMOUNTS = st.dictionaries(st.sampled_from(["cpu", "memory", "ephemeral-storage"]), st.sampled_from(["1", "2Gi"]))
RESOURCES = st.fixed_dictionaries({}, optional={"requests": AMOUNTS, "limits": AMOUNTS})
PATCH = st.sampled_from(
    [{}, {"metadata": {"annotations": {"own": "x"}}}, {"spec": {"terminationGracePeriodSeconds": 5}},
     {"spec": {"containers": [{"name": "engine", "stdin": True, "env": [{"name": "OWN", "value": "1"}]}]}}]
)  # fmt: skip

# By the last part of the key, so that a key of the same name elsewhere needs no line of its own.
PASSED_THROUGH: dict[str, Objects] = {
    "tolerations": st.lists(TOLERATION, max_size=3),
    "affinity": AFFINITY,
    "imagePullSecrets": st.lists(st.fixed_dictionaries({"name": NAME}), max_size=2, unique_by=str),
    "extraVolumes": VOLUMES,
    "extraVolumeMounts": MOUNTS,
    "clients": st.lists(PEER, max_size=3),
    "routers": st.lists(PEER, max_size=3),
    "metrics": st.lists(PEER, max_size=3),
    "dns": st.lists(PEER, max_size=3),
    "to": st.lists(PEER, max_size=3),
    "extraEgress": st.lists(EGRESS, max_size=2),
    "topologySpreadConstraints": st.lists(SPREAD, max_size=2),
    "extraEnv": st.lists(EXTRA_ENV, max_size=3),
    "extraObjects": st.lists(EXTRA_OBJECT, max_size=2, unique_by=_name),
    "args": st.dictionaries(FLAG, FLAG_VALUE, max_size=3),
    "selectors": st.lists(CEL, max_size=2),
    "nodes": st.lists(CIDR, max_size=2),
    "behavior": st.fixed_dictionaries({}, optional={"scaleUp": RULES, "scaleDown": RULES}),
    "extraMetrics": st.lists(METRIC, max_size=1),
    "extraTriggers": st.lists(TRIGGER, max_size=1),
    "extraRules": st.lists(RULE, max_size=2),
    "relabelings": st.lists(RELABELING, max_size=2),
    "metricRelabelings": st.lists(RELABELING, max_size=2),
    "tlsConfig": st.sampled_from([{}, {"insecureSkipVerify": True}, {"serverName": "x.example"}]),
    "filters": st.lists(FILTER, max_size=1),
    "selector": SELECTOR,
    "podContext": st.sampled_from([{}, {"fsGroupChangePolicy": "OnRootMismatch"}, {"supplementalGroups": [44]}]),
    "containerContext": st.sampled_from([{}, {"privileged": False}, {"capabilities": {"drop": ["ALL"]}}]),
    "dnsConfig": DNS,
    "resources": RESOURCES,
    "podPatch": PATCH,
}
