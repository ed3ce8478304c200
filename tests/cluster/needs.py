"""What the suite needs of a cluster, checked before the first test: one message, with the way out."""

import hashlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

ENGINE = Path(__file__).parent / "engine"
FILES = ("engine.py", "tgi.py", "tgis.py")
GPU, PRODUCT = "nvidia.com/gpu", "Tesla-T4"
OPERATORS = {
    "leaderworkerset.x-k8s.io/v1": "LeaderWorkerSet 0.9.0",
    "ray.io/v1": "KubeRay 1.6.0",
}
BUILD = (
    "python tests/cluster/build_context.py FOLDER; docker build --tag {image} FOLDER; kind load docker-image {image}"
)


def kubectl(*words: str, given: str | None = None, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run it; the caller looks at the code."""
    return subprocess.run(
        ["kubectl", *words], capture_output=True, text=True, check=False, input=given, timeout=seconds
    )


def missing(images: tuple[str, ...], namespace: str, gpus: int) -> list[str]:
    """Every need that is not met, as "what is wrong. Way out."."""
    answer = kubectl("get", "nodes", "-o", "json")
    if answer.returncode:
        return [
            f"The API server of KUBECONFIG does not answer: {answer.stderr.strip()[-300:]}. Start it, or `make kind`."
        ]
    offered = sum(
        int(node["status"].get("allocatable", {}).get(GPU, 0))
        for node in json.loads(answer.stdout)["items"]
        if node["metadata"].get("labels", {}).get(f"{GPU}.product") == PRODUCT
    )
    problems = []
    if offered < gpus:
        problems.append(
            f"Nodes with the label {GPU}.product={PRODUCT} offer {offered} {GPU}, and {gpus} are needed. Made-up ones "
            "will do: PYTHONPATH=tools python -m testbed.kind_cluster gpus writes them into the nodes' status."
        )
    served = kubectl("api-versions").stdout.split()
    problems += [
        f"The API {api} is not served. Install {name} (`make kind` does)."
        for api, name in OPERATORS.items()
        if api not in served
    ]
    return problems + image_problems(images, namespace)


def image_problems(images: tuple[str, ...], namespace: str) -> list[str]:
    """Whether the nodes hold the stand-in engines, made from these sources and no older ones."""
    script = f"cd /app && sha256sum {' '.join(FILES)}"
    containers = [
        {"name": f"image-{number}", "image": image, "imagePullPolicy": "Never", "command": ["sh", "-c", script]}
        for number, image in enumerate(images)
    ]
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 2000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {"restartPolicy": "Never", "containers": [{**entry, "securityContext": restricted} for entry in containers]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "images"}, "spec": spec}
    deadline = time.monotonic() + 15  # a new namespace gets its service account a moment later
    while (made := kubectl("create", "-n", namespace, "-f", "-", given=json.dumps(pod))).returncode:
        if time.monotonic() > deadline:
            break
        time.sleep(0.3)
    if made.returncode:
        return [f"A pod cannot be made: {made.stderr.strip()[-300:]}"]
    states = wait_for_images(namespace)
    problems = []
    for number, image in enumerate(images):
        state: dict[str, Any] = next((entry["state"] for entry in states if entry["name"] == f"image-{number}"), {})
        way = BUILD.format(image=image)
        if "terminated" not in state:
            why = state.get("waiting", {}).get("reason", "it did not start within 3 minutes")
            problems.append(f"The nodes do not hold the image {image} ({why}). {way}")
            continue
        told = kubectl("logs", "images", "-n", namespace, "-c", f"image-{number}").stdout.split()[::2]
        if told != [hashlib.sha256((ENGINE / file).read_bytes()).hexdigest() for file in FILES]:
            problems.append(f"The image {image} was not built from tests/cluster/engine as it is now. {way}")
    return problems


def wait_for_images(namespace: str) -> list[dict[str, Any]]:
    """States of the containers, once each ended or cannot start."""
    deadline = time.monotonic() + 180
    states: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        found = json.loads(kubectl("get", "pod", "images", "-n", namespace, "-o", "json").stdout)
        states = found["status"].get("containerStatuses", [])
        settled = [
            "terminated" in entry["state"] or "Err" in entry["state"].get("waiting", {}).get("reason", "")
            for entry in states
        ]
        if settled and all(settled):
            break
        time.sleep(0.3)
    return states
