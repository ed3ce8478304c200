"""Random values documents before a real API server: what renders is admitted as Helm would apply it.

Server-side apply with dry run and strict fields, so defaults, validation, admission and webhooks have their say, and
nothing is stored. Kinds that the cluster lacks are served by stand-in CRDs while the test runs (Gateway API,
InferencePool, Route, Prometheus operator, KEDA: their spec's schema, nothing that acts on them); Kueue and Grafana are
but labels.
LLM_SERVING_DRY_RUNS says how many documents (`make test-dry-run DRY_RUNS=500`); the few of an ordinary run are the same
each time, so that it judges the change and not the dice.
"""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cluster.conftest import made_namespace
from cluster.standin_crds import KINDS, definition
from fuzz.documents import documents, drawing, hands
from fuzz.judging import judge
from hypothesis import assume, given
from hypothesis import strategies as st
from pykube import HTTPClient
from pytest_helm_charts.clusters import Cluster

Json = dict[str, Any]
ORDINARY = 100
DOCUMENTS = int(os.environ.get("LLM_SERVING_DRY_RUNS", ORDINARY))
HANDS = hands()
SHARES = 4


class Server:
    """The API server, asked to apply without doing it."""

    def __init__(self, client: HTTPClient, namespace: str) -> None:
        self.client, self.namespace = client, namespace
        self.plurals: dict[str, dict[str, str]] = {}
        self.accounts: set[str] = set()
        told = client.session.get(f"{client.url}/version").json()
        self.version = f"{told['major']}.{re.sub(r'[^0-9]', '', told['minor'])}"

    def _url(self, version: str, kind: str, name: str) -> str:
        group = f"{self.client.url}/{'apis/' if '/' in version else 'api/'}{version}"
        if version not in self.plurals:
            served = self.client.session.get(group).json().get("resources", [])
            self.plurals[version] = {item["kind"]: item["name"] for item in served if "/" not in item["name"]}
        return f"{group}/namespaces/{self.namespace}/{self.plurals[version][kind]}/{name}"

    def _apply(self, manifest: Json, *, dry: bool) -> str:
        """Empty, or why the server refuses."""
        query = {"fieldManager": "helm", "fieldValidation": "Strict", "force": "true"}
        if dry:
            query["dryRun"] = "All"
        answer = self.client.session.patch(
            self._url(manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"]),
            params=query,
            data=json.dumps(manifest, ensure_ascii=False).encode(),  # YAML knows no pairs of escapes
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        return "" if answer.ok else f"{manifest['kind']}: {answer.json().get('message', answer.text)}"

    def _account(self, pod: Json) -> None:
        """A pod's account must be there: it alone is made."""
        name = pod["spec"].get("serviceAccountName", "default")
        if name not in {"default", *self.accounts}:
            made = self._apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}, dry=False)
            assert not made, made
            self.accounts.add(name)

    def refusals(self, manifests: list[Json]) -> list[str]:
        """What the server has against a release."""
        for manifest in manifests:
            if manifest["kind"] == "Pod":
                self._account(manifest)
        return [told for manifest in manifests if (told := self._apply(manifest, dry=True))]


def crd_url(client: HTTPClient, name: str = "") -> str:
    return f"{client.url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}".rstrip("/")


@pytest.fixture(scope="module")
def foreign_kinds(kube_cluster: Cluster) -> Iterator[None]:
    """Stand-ins for the kinds that the cluster does not serve, removed afterwards."""
    client = kube_cluster.kube_client
    made = []
    try:
        for kind in KINDS:
            crd = definition(kind)
            answer = client.session.post(crd_url(client), json=crd)
            assert answer.status_code in {201, 409}, answer.text
            made += [crd["metadata"]["name"]] if answer.status_code == 201 else []
        for kind, (group, version, plural) in KINDS.items():
            deadline = time.monotonic() + 30
            while not client.session.get(f"{client.url}/apis/{group}/{version}/{plural}").ok:
                assert time.monotonic() < deadline, f"{kind} is not served"
                time.sleep(0.2)
        yield
    finally:
        for name in made:
            client.session.delete(crd_url(client, name))


@pytest.fixture(scope="module")
def server(kube_cluster: Cluster, foreign_kinds: None) -> Iterator[Server]:
    """The server and a namespace that enforces Pod Security restricted."""
    with made_namespace(kube_cluster.kube_client, "restricted") as namespace:
        yield Server(kube_cluster.kube_client, namespace)


@pytest.mark.parametrize("share", range(SHARES))
def test_what_renders_is_admitted(server: Server, share: int, record_property: Callable[[str, Any], None]) -> None:
    applied: Counter[str] = Counter()

    @drawing(DOCUMENTS, SHARES, ORDINARY)
    @given(drawn=st.sampled_from(HANDS[share::SHARES]).flatmap(documents))
    def check(drawn: tuple[Json, Json]) -> None:
        values, _ = drawn
        manifests = judge(values, server.version, server.namespace)
        assume(manifests)
        refusals = server.refusals(manifests or [])
        assert not refusals, "\n".join(refusals)
        applied.update(["documents", *(manifest["kind"] for manifest in manifests or [])])

    check()
    record_property("applied", dict(applied))
    assert applied["documents"] >= DOCUMENTS // SHARES
