"""Documents in which every switch of the chart stands beside every other.

A switch is a key of the schema that is true or false or one of a few words, or one of SWITCHED_BY_TEXT, which switch
something by being set. Its first level is the default. allpairspy puts levels together so that each pair of them is in
some document. A document that the chart refuses loses a level that the refusal names, until it renders: so each
document is a refusal that is looked at, or manifests that are.
"""

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml
from allpairspy import AllPairs
from fuzz.documents import LEAVES, at
from support.helm import CHART, RefusedError, in_process, merge
from support.releases import BASE

Values = dict[str, Any]
DEFAULTS: Values = yaml.safe_load((CHART / "values.yaml").read_text())
Level = tuple[str, int]
"""A switch by its key, and the number of its level."""

LEFT_OUT = {"enabled"}  # a release of its own refuses false: only a parent chart's condition acts on it
TWO = {"parallelism": {"nodes": 2, "pipeline": 2}}
# What a level needs beside it to act, or to be let through; keys as in the values.
BESIDE: dict[tuple[str, Any], Values] = {
    ("parallelism.controller", "statefulset"): TWO,
    ("parallelism.controller", "leaderworkerset"): TWO,
    ("parallelism.controller", "raycluster"): merge(TWO, {"parallelism": {"executor": "ray"},
                                                          "engine": {"hasRay": True}}),
    ("parallelism.executor", "ray"): {"engine": {"hasRay": True}},
    ("parallelism.expert", True): {"parallelism": {"tensor": 2, "gpusPerNode": 2}},
    ("network.rdma.enabled", True): {"network": {"rdma": {"resourceName": "rdma/hca", "hca": "mlx5"}}},
    ("engine.type", "tgi"): {"engine": {"version": "3.3.7"}, "security": {"allowRoot": True}},
    ("engine.type", "tgis"): {"engine": {"version": "1db8cf0"}},
    ("engine.lora.dynamic", True): {"engine": {"lora": {"maxLoras": 2}}},
    ("engine.speculative.method", "ngram"): {"engine": {"speculative": {"options": {"prompt_lookup_max": 4}}}},
    **{("engine.speculative.method", method): {"engine": {"speculative": {"id": "org/draft"}}}
       for method in ("eagle", "eagle3", "draft_model")},
    ("model.gated", True): {"auth": {"hfToken": {"existingSecret": "hf-token"}}},
    ("model.source.type", "pvc"): {"model": {"source": {"claim": "their-models", "path": "m"}}},
    ("model.source.type", "hostPath"): {"model": {"source": {"path": "/mnt/models/m"}}},
    ("model.source.type", "oci"): {"model": {"source": {"image": "registry.example.com/models/m:1"}}},
    ("model.source.type", "s3"): {"model": {"source": {"uri": "s3://models/m", "endpoint": "http://minio.store.svc:9000",
                                                       "existingSecret": "s3-keys"}}},
    ("model.source.type", "gcs"): {"model": {"source": {"uri": "gs://models/m"}}},
    ("model.source.type", "azure"): {"model": {"source": {"uri": "az://models/m", "account": "acct"}}},
    ("gpu.vendor", "amd"): {"gpu": {"resourceName": "amd.com/gpu"},
                            "engine": {"image": {"repository": "vllm/vllm-openai-rocm"}}},
    ("gpu.vendor", "gaudi"): {"gpu": {"resourceName": "habana.ai/gaudi", "hugepages": "2376Mi"},
                              "engine": {"image": {"repository": "mirror/vllm-gaudi"}}},
    ("storage.type", "pvc"): {"storage": {"accessMode": "ReadWriteMany"}},
    ("storage.type", "existingClaim"): {"storage": {"existingClaim": "their-claim"}},
    ("storage.type", "hostPath"): {"storage": {"hostPath": "/mnt/cache"}},
    ("dnsPolicy", "None"): {"dnsConfig": {"nameservers": ["10.0.0.10"]}},
    ("model.download.mode", "job"): {"storage": {"type": "existingClaim", "existingClaim": "their-claim"}},
    ("model.download.mode", "hook"): {"storage": {"type": "existingClaim", "existingClaim": "their-claim"}},
    ("expose.ingress.enabled", True): {"expose": {"host": "llm.example.com"}},
    ("expose.gateway.enabled", True): {"expose": {"host": "llm.example.com", "gateway": {"parents": [{"name": "gw"}]}}},
    ("expose.route.enabled", True): {"expose": {"host": "llm.example.com"}},
    ("expose.route.termination", "reencrypt"): {"tls": {"existingSecret": "engine-tls"}},
    ("expose.inferencePool.enabled", True): {"expose": {"inferencePool": {"picker": "picker"}}},
    ("service.allocateLoadBalancerNodePorts", False): {"service": {"type": "LoadBalancer"}},
    ("service.ipFamilyPolicy", "RequireDualStack"): {"service": {"ipFamilies": ["IPv6", "IPv4"]}},
    ("scaling.keda.enabled", True): {"scaling": {"keda": {"serverAddress": "http://prometheus.monitoring:9090"}}},
    ("scaling.keda.scaleToZero.enabled", True): {"scaling": {"keda": {"scaleToZero": {"query": "sum(rate(x[1m]))"}}}},
    ("scaling.keda.authenticationKind", "ClusterTriggerAuthentication"): {
        "scaling": {"keda": {"authentication": "thanos"}}},
    ("networkPolicy.enabled", True): {"networkPolicy": {"routers": [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]}},
}  # fmt: skip
ROUTED = {"expose": {"host": "llm.example.com", "gateway": {"enabled": True, "parents": [{"name": "gw"}]}}}
# Refused together in words that name only the first: one of the two is left out, by turns.
APART = {"model.download.mode": ("model.source.type", "model.path")}
TOOL = {"name": "tool", "image": "registry.example.com/tool:1"}
SWITCHED_BY_TEXT: dict[str, list[Values]] = {
    "fullnameOverride": [{"fullnameOverride": "a-name-that-is-as-long-as-names-may-be-and-then-longer-than-that"}],
    "global": [{"global": {"imageRegistry": "mirror.example.com", "imagePullSecrets": ["pull"]}}],
    "commonLabels": [{"commonLabels": {"team": "a"}, "commonAnnotations": {"owner": "a"},
                      "objectMetadata": {"Service": {"labels": {"x": "y"}}, "Job": {"annotations": {"x": "y"}}}}],
    "replicas": [{"replicas": 2}, {"replicas": 0}],
    "parallelism.data": [{"parallelism": {"data": 2, "nodes": 1, "pipeline": 1, "gpusPerNode": 2}},
                         {"parallelism": {"data": 2, "nodes": 2, "pipeline": 1, "gpusPerNode": 1}}],
    "model.path": [{"model": {"path": "/llm/models/mine"}}],
    "engine.lora.adapters": [{"engine": {"lora": {"adapters": [{"name": "sql", "id": "org/sql"}]}}}],
    "engine.chatTemplate": [{"engine": {"chatTemplate": {"text": "{{ messages }}"}}}],
    "engine.kvOffload": [{"engine": {"kvOffload": {"sizeGiB": 1}}}],
    "engine.env": [{"engine": {"env": {"HTTPS_PROXY": "http://corporation.com:3128", "HF_ENDPOINT": "http://mirror.hub:8080"}}},
                   {"engine": {"extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel.example.com:4318"}],
                               "envFrom": [{"secretRef": {"name": "their-env"}}]}}],
    "engine.extraPorts": [{"engine": {"extraPorts": [{"name": "debug", "containerPort": 9999}]},
                           "service": {"extraPorts": [{"name": "debug", "port": 9999, "targetPort": "debug"}]}}],
    "gpu.resourceName": [{"gpu": {"resourceName": ""}, "engine": {"image": {"repository": "vllm/vllm-openai-cpu"}}}],
    "gpu.dra": [{"gpu": {"dra": {"deviceClassName": "gpu.example.com"}}}],
    "extraResourceClaims": [{"extraResourceClaims": [{"name": "nic", "resourceClaimTemplateName": "their-nic"}]}],
    "liveness.stalledSeconds": [{"liveness": {"stalledSeconds": 0}}],
    "auth": [{"auth": {"hfToken": {"existingSecret": "hf"}, "apiKey": {"existingSecret": "keys"}}}],
    "auth.group": [{"auth": {"group": {"existingSecret": "members"}}}],
    "tls": [{"tls": {"existingSecret": "engine-tls"}},
            {"tls": {"existingSecret": "engine-tls", "ca": {"existingConfigMap": "engine-ca"}}}],
    "expose.pathPrefix": [merge(ROUTED, {"expose": {"pathPrefix": "/chat", "cors": ["https://a.example.com"]}}),
                          merge(ROUTED, {"expose": {"paths": ["/v1", "/score"], "timeoutSeconds": 0}})],
    "serviceAccount.name": [{"serviceAccount": {"create": False, "name": "their-account"}}],
    "initContainers": [{"initContainers": [{**TOOL, "name": "first"}], "sidecars": [TOOL]}],
    "extraVolumes": [{"extraVolumes": [{"name": "mine", "configMap": {"name": "their-map"}}],
                      "extraVolumeMounts": [{"name": "mine", "mountPath": "/mine"}]}],
    "affinity": [{"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "theirs"}}}]}}}],
    "topologySpreadConstraints": [{"topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]}],
    "kueue.queue": [{"kueue": {"queue": "gpus"}}],
    "monitoring.tracing.endpoint": [{"monitoring": {"tracing": {"endpoint": "http://otel.monitoring:4317"}}}],
    "monitoring.namespace": [{"monitoring": {kind: {"namespace": "watch", "tlsConfig": {"insecureSkipVerify": True}}
                                             for kind in ("serviceMonitor", "podMonitor")}}],
    "networkPolicy.nodes": [{"networkPolicy": {"nodes": ["10.0.0.0/16"]}}],
    "podPatch": [{"podPatch": {"spec": {"terminationGracePeriodSeconds": 300}}}],
    "plan": [{"plan": {"summary": "x"}}],
}  # fmt: skip


def _nested(path: str, value: Any) -> Values:
    for part in reversed(path.split(".")):
        value = {part: value}
    return {str(key): inner for key, inner in value.items()}


def switches() -> dict[str, list[Values]]:
    """Each switch with its levels: what each sets. The first sets nothing."""
    found: dict[str, list[Values]] = {}
    for path, node in LEAVES.items():
        words = [True, False] if node.get("type") == "boolean" else node.get("enum")
        if words is None or path in LEFT_OUT:
            continue
        default = at(DEFAULTS, path)
        changed = [merge(BESIDE.get((path, word), {}), _nested(path, word)) for word in words if word != default]
        found[path] = [{}, *changed]
    return {**found, **{path: [{}, *levels] for path, levels in SWITCHED_BY_TEXT.items()}}


SWITCHES = switches()


def document(levels: dict[str, int]) -> Values:
    """The values of a choice of levels."""
    values = BASE
    for path, number in levels.items():
        values = merge(values, SWITCHES[path][number])
    return values


def pairs(levels: dict[str, int]) -> set[tuple[Level, Level]]:
    """The pairs of levels, of those that set something, in a choice."""
    return set(combinations(sorted((path, number) for path, number in levels.items() if number), 2))


def every_pair() -> set[tuple[Level, Level]]:
    """All that there are."""
    levels = [(path, number) for path, found in SWITCHES.items() for number in range(1, len(found))]
    return {pair for pair in combinations(sorted(levels), 2) if pair[0][0] != pair[1][0]}


def choices(seed: int = 0) -> Iterator[dict[str, int]]:
    """A covering array: each pair of levels is in one of the choices. Another seed gives others."""
    order = list(SWITCHES)
    random.Random(seed).shuffle(order)
    for row in AllPairs([list(range(len(SWITCHES[path]))) for path in order]):
        found = dict(zip(order, row, strict=True))
        yield {path: found[path] for path in SWITCHES}


def written(levels: dict[str, int]) -> str:
    """A choice as a digit for each switch."""
    return "".join(str(levels[path]) for path in SWITCHES)


def read(digits: str) -> dict[str, int]:
    """The choice that `written` wrote."""
    return {path: int(digit) for path, digit in zip(SWITCHES, digits, strict=True)}


def _keys(values: Any, path: str = "") -> Iterator[str]:
    for key, child in values.items() if isinstance(values, dict) else ():
        yield f"{path}{key}"
        yield from _keys(child, f"{path}{key}.")


def told(refusal: str) -> list[str]:
    """Each problem of a refusal, keys in dots; nothing for a template that crashed."""
    if "values don't meet the specifications of the schema" in refusal:
        return [line.replace("/", ".") for line in refusal.splitlines() if line.startswith("- at")]
    if re.search(r"llm-serving: [0-9]+ problems? with the values:", refusal):
        return re.findall(r"^  [0-9]+\. (.*)$", refusal, re.MULTILINE)
    return []


@dataclass
class Outcome:
    """What became of a choice.

    Attributes:
        levels: what was left of it when it rendered.
        manifests: what it rendered.
        refusals: texts on the way there.
        lost: levels that were taken away.
    """

    levels: dict[str, int]
    manifests: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    lost: list[Level] = field(default_factory=list)


class UnnamedError(Exception):
    """A refusal that is a crash, or that names nothing of what was set."""


def named(levels: dict[str, int], problem: str) -> list[str]:
    """Switches that are set and that a problem names, by any of the keys that they set."""
    found = []
    for path, number in levels.items():
        keys = {path, *_keys(SWITCHES[path][number])} if number else set()
        if any(re.search(rf"(?<![\w.]){re.escape(key)}(?![\w])", problem) for key in keys if "." in key or key == path):
            found.append(path)
    return found


def rendered(levels: dict[str, int], name: str, cheap: Callable[[str], int]) -> Outcome:
    """Render a choice, or as much of it as the chart takes; of several switches that are named the cheapest goes.

    Raises:
        UnnamedError: the chart crashed, or refused without a word about what was set.
    """
    outcome = Outcome(dict(levels))
    while True:
        try:
            outcome.manifests = in_process(document(outcome.levels), name=name)
        except RefusedError as refused:
            problems = told(str(refused))
            if not problems:
                raise UnnamedError(f"{document(outcome.levels)}\n{refused}") from refused
            outcome.refusals.append(str(refused))
            gone: set[str] = set()
            for problem in problems:
                given = named(outcome.levels, problem)
                if given and not gone & set(given):
                    gone.add(max(given, key=cheap))
            if not gone:
                raise UnnamedError(f"{document(outcome.levels)}\n{refused}") from refused
            for path in gone:
                outcome.lost.append((path, outcome.levels[path]))
                outcome.levels[path] = 0
        else:
            return outcome


NAMES = ("chat", "chat-2")
"""Of neighbouring documents: two releases in one namespace, the one's name the beginning of the other's."""
WATCHED = "networkPolicy.enabled"  # what most of the other switches must stand beside


class Chooser:
    """Chooses documents: a covering array, then more for the pairs that were lost to refusals.

    Attributes:
        rows: what was chosen, and what of it the chart takes.
        seen: pairs that were rendered.
        refused: pairs that the chart refuses even where nothing else is set that it names.
    """

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.rows: list[tuple[dict[str, int], Outcome]] = []
        self.seen: set[tuple[Level, Level]] = set()
        self.refused: set[tuple[Level, Level]] = set()
        self.counts: Counter[Level] = Counter()

    def add(self, levels: dict[str, int], core: tuple[Level, ...] = ()) -> Outcome:
        """Render a choice, with its core if that is possible; what was seen least is kept longest."""
        name = NAMES[len(self.rows) % 2]
        start = dict(levels)
        for path, others in APART.items():
            if start[path] and any(start[other] for other in others):
                first = path not in dict(core) and (
                    len(self.rows) % 2 == 0 or any(other in dict(core) for other in others)
                )
                start.update(dict.fromkeys([path] if first else others, 0))
        outcome = rendered(start, name, lambda path: self.counts[path, levels[path]] - 10**6 * (path in dict(core)))
        self.rows.append((levels, outcome))
        self.seen |= pairs(outcome.levels)
        self.counts.update((path, number) for path, number in outcome.levels.items() if number)
        return outcome

    def left(self) -> list[tuple[Level, Level]]:
        """Pairs of which nothing is known."""
        return sorted(every_pair() - self.seen - self.refused)

    def around(self, core: tuple[Level, Level]) -> dict[str, int]:
        """A choice with a pair in it, and with as many others of which nothing is known."""
        left = set(self.left())
        chosen = {**dict.fromkeys(SWITCHES, 0), WATCHED: 1, **dict(core)}
        for path in self.random.sample(list(SWITCHES), len(SWITCHES)):
            if chosen[path]:
                continue
            news = [0] * len(SWITCHES[path])
            for number in range(1, len(news)):
                news[number] = len(left & {tuple(sorted(((path, number), one))) for one in chosen.items() if one[1]})
            best = max(range(len(news)), key=news.__getitem__)
            chosen[path] = best if news[best] else 0
        return chosen

    def run(self, more: int) -> None:
        """The covering array, and up to so many documents more."""
        for levels in choices(self.seed):
            self.add(levels)
        for _ in range(more):
            left = self.left()
            if not left:
                break
            core = self.random.choice(left)
            outcome = self.add(self.around(core), core)
            if core not in self.seen and not any(
                outcome.levels[path] for path in outcome.levels if path not in dict(core)
            ):
                self.refused.add(core)


def main(path: str, more: int = 40) -> None:
    """Write the committed documents."""
    chooser = Chooser()
    chooser.run(more)
    sizes = {path: len(levels) for path, levels in SWITCHES.items()}
    rows = [[written(levels), written(outcome.levels)] for levels, outcome in chooser.rows]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    text = f'{{"switches": {json.dumps(sizes, indent=2)},\n"rows": [\n  {lines}\n]}}\n'
    Path(path).write_text(text, encoding="utf-8")
    refusals = sum(len(outcome.refusals) for _, outcome in chooser.rows)
    print(f"{len(rows)} documents, {refusals} refusals on the way, {len(chooser.seen)} of {len(every_pair())} pairs")


if __name__ == "__main__":
    main(sys.argv[1])
