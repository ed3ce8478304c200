"""GPU nodes: what is refused, in one line with the way out; and clusters that answer, fail or hang."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.cli.main import main
from llm_serving_planner.cluster import kubectl
from llm_serving_planner.nodes.machinesets_read import CLUSTER_LABEL
from support.command import run
from support.machines import FACTS, IN_EKSCTL, IN_KARPENTER, IN_OPENSHIFT, check, item

LONG = FACTS.parent / "long-name.yaml"


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The lines of a refusal, without the prefix."""
    assert main(["machineset", *words]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    return err.removeprefix("error: ").rstrip("\n")


def changed(change: str, new: Any) -> dict[str, Any]:
    """The first MachineSet with one field set, or removed when None."""
    whole = item()
    node = whole
    *parents, last = change.split("/")
    for part in parents:
        node = node[part]
    if new is None:
        del node[last]
    else:
        node[last] = new
    return whole


PROVIDER = "spec/template/spec/providerSpec/value"
OC = "`oc get machineset -n openshift-machine-api -o yaml > machinesets.yaml` writes the file that is meant"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed(f"{PROVIDER}/instanceType", "m6g.large") | {"metadata": {"name": "arm"}},
         "f: the AMI of MachineSet arm is for arm64, g5.2xlarge needs one for amd64\n"
         "hint: add a MachineSet with amd64 machines to the file; an AMI starts on its own architecture only"),
        (changed(f"{PROVIDER}/ami", None),
         "f: MachineSet demo-x7k2p-worker-us-east-2a: /spec/template/spec/providerSpec/value/ami is missing; "
         f"a new MachineSet needs it\nhint: {OC}"),
        (changed(f"{PROVIDER}/subnet", "subnet-1"),
         "f: MachineSet demo-x7k2p-worker-us-east-2a: /spec/template/spec/providerSpec/value: /subnet: 'subnet-1' is "
         "not of type 'object'"),
        (changed(f"{PROVIDER}/kind", "AzureMachineProviderSpec"),
         "f: MachineSet demo-x7k2p-worker-us-east-2a: /spec/template/spec/providerSpec/value/kind is "
         "'AzureMachineProviderSpec', not AWSMachineProviderConfig\nhint: nodes are written for AWS only"),
        (changed(f"{PROVIDER}/placement/region", "eu-west-1"),
         "f: MachineSet demo-x7k2p-worker-us-east-2a: zone us-east-2a is not in region eu-west-1\n"
         "hint: correct placement in the file"),
        ({"apiVersion": "v1", "kind": "List", "items": []},
         f"f: holds no MachineSet for Linux machines\nhint: {OC}"),
        (changed("metadata/labels", {"machine.openshift.io/os-id": "Windows"}),
         f"f: holds no MachineSet for Linux machines\nhint: {OC}"),
        ({"apiVersion": "apps/v1", "kind": "Deployment"},
         "f: found apps/v1 Deployment; MachineSets of machine.openshift.io or a List of them are meant\n"
         f"hint: {OC}"),
        (["x"], f"f: holds a list; a MachineSet or a List is meant\nhint: {OC}"),
        (changed(f"{PROVIDER}/securityGroups", "sg-1"),
         "f: MachineSet demo-x7k2p-worker-us-east-2a: /spec/template/spec/providerSpec/value: /securityGroups: 'sg-1' "
         "is not of type 'array'"),
        (changed(f"{PROVIDER}/ami", {"id": "ami-1", "arn": "arn:aws:1"}),
         "f: MachineSet demo-x7k2p-worker-us-east-2a: /spec/template/spec/providerSpec/value: /ami: {'id': 'ami-1', "
         "'arn': 'arn:aws:1'} has too many properties"),
        ({"kind": "List", "items": [{"kind": "List", "items": []}]},
         "f: found List; MachineSets of machine.openshift.io or a List of them are meant\n"
         f"hint: {OC}"),
        ({"kind": "List", "items": "x"}, f"f: /items of the List is no list\nhint: {OC}"),
        ({"kind": "List", "items": [item(), changed("spec/template/metadata/labels", {CLUSTER_LABEL: "other-abcde"})]},
         "f: MachineSets of several infrastructure ids: demo-x7k2p, other-abcde\n"
         "hint: give the MachineSets of one cluster only"),
    ],
    ids=["arm", "ami", "subnet", "azure", "region", "empty", "windows", "deployment", "list", "groups", "two ids",
         "nested", "items", "clusters"],
)  # fmt: skip
def test_bad_facts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, document: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f").write_text(json.dumps(document))
    assert refusal(capsys, "--profile", "g5.2xlarge", "--cluster-facts", "f") == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--profile", "g5.2xlarge"],
         "--form machineset: AMI, subnets and secrets of the cluster are not known\nhint: add --cluster-facts FILE "
         "(an existing MachineSet, or a list of them) or --from-cluster"),
        (["--profile", "g5.2xlarge", "--cluster-facts", "none.yaml"],
         "none.yaml: cannot be read (No such file or directory)"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--region", "us-west-2"],
         f"--region is us-west-2, the MachineSets of {FACTS} are in us-east-2\nhint: AMI, subnets and security groups "
         "belong to one region: leave --region away, or read that cluster"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--zone", "c"],
         f"--zone c: {FACTS} has no MachineSet for amd64 in us-east-2c, so AMI and subnet are not known\n"
         "hint: known zones: us-east-2a, us-east-2b"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--zone", "eu-west-1a"],
         "--zone is 'eu-west-1a', which is no zone of us-east-2\nhint: write a letter such as a, or us-east-2a"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--zone", "a", "--all-zones"],
         "--zone and --all-zones exclude each other\nhint: name the zones, or take all"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--spot-max-price", "1"],
         "--spot-max-price is set without --spot\nhint: add --spot, or leave the price away"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--spot", "--spot-max-price", "-1"],
         "--spot-max-price is '-1'; USD per hour above 0 are meant, such as 5.50"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--replicas", "-1"],
         "--replicas is -1; a number of nodes from 0 to 1000 is meant"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--root-volume-gib", "20"],
         "--root-volume-gib is 20; 40 to 16384 GiB are possible\nhint: 40 GiB hold the operating system; the engine's "
         "image of about 10 GB comes on top"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--name", "A_b"],
         "--name is 'A_b'; lower case letters, digits and '-' are allowed, 40 at most\nhint: zone and infrastructure "
         "id are added to it, and 63 characters are the limit of a label"),
        (["--profile", "g5.2xlarge", "--cluster-facts", str(LONG), "--name", "a" * 30],
         f"the MachineSet's name a-cluster-of-21-chars-x7k2p-{'a' * 30}-us-east-2a has 69 characters, 63 are the most\n"
         "hint: choose a shorter middle part with --name"),
        (["--profile", "g5.2xlarge", *IN_OPENSHIFT, "--cluster-name", "x"],
         "--cluster-name: --form machineset has no use for it\nhint: leave it away; it is for --form karpenter and "
         "eksctl"),
        (["--profile", "9xa10g", *IN_OPENSHIFT],
         "profile '9xa10g': 9 GPUs in one node; machines of AWS have at most 8 NVIDIA A10G\n"
         "hint: write <nodes>x8xa10g for several nodes"),
        (["--profile", "0xg5.2xlarge", *IN_OPENSHIFT], "profile '0xg5.2xlarge': 0 nodes; 1 to 1000 are possible"),
        (["--profile", "a2-highgpu-1g", *IN_OPENSHIFT],
         "profile 'a2-highgpu-1g' is a machine of gcp; nodes are written for AWS only\nhint: llm-serving profiles "
         "lists the machine types; those of AWS look like g5.48xlarge"),
        (["--profile", "1xrtx-4090", *IN_OPENSHIFT],
         "profile '1xrtx-4090': AWS has no machine with NVIDIA GeForce RTX 4090 in the data\nhint: GPUs of AWS: "
         "a100-40gb, a100-80gb, a10g, b200, b300, gaudi1, h100-80gb, h200, l4, l40s, rtx-pro-4500, rtx-pro-6000, t4, "
         "v100-16gb, v100-32gb"),
        (["--profile", "g5g.xlarge", *IN_OPENSHIFT],
         "profile 'g5g.xlarge' is not understood\nhint: did you mean g5.xlarge? write 2xt4, 2x8xh100 (nodes x GPUs), "
         "g5.48xlarge or a YAML file; `llm-serving profiles` lists all"),
        (["--profile", "g5.2xlarge", "--form", "karpenter", "--cluster-name", "prod"],
         "--form karpenter: no image is named, and none is guessed\nhint: name one with --ami-alias al2023@vYYYYMMDD "
         "(releases of awslabs/amazon-eks-ami) or --ami ami-..."),
        (["--profile", "g5.2xlarge", "--form", "karpenter", "--cluster-name", "prod", "--ami-alias", "al2023@latest"],
         "--ami-alias is al2023@latest: each new image would replace the nodes under running engines\nhint: "
         "Karpenter's documentation advises against it in production; name one with --ami-alias al2023@vYYYYMMDD "
         "(releases of awslabs/amazon-eks-ami) or --ami ami-..."),
        (["--profile", "g5.2xlarge", "--form", "karpenter"],
         "--form karpenter: the name of the EKS cluster is not known\nhint: add --cluster-name NAME"),
        (["--profile", "g5.2xlarge", *IN_KARPENTER, "--spot", "--spot-max-price", "1"],
         "--spot-max-price: Karpenter knows no maximum price\nhint: leave it away: AWS charges the on-demand price at "
         "most"),
        (["--profile", "g5.2xlarge", *IN_KARPENTER, "--replicas", "0"],
         "--replicas is 0: Karpenter makes nodes when pods ask, the number is only its limit\nhint: leave --replicas "
         "away, or delete the NodePool"),
        (["--profile", "g5.2xlarge", *IN_KARPENTER, "--zone", "a"],
         "--zone is 'a': the letter of a zone needs its region\nhint: add --region REGION"),
        (["--profile", "g5.2xlarge", *IN_KARPENTER, "--ami", "ami-1"],
         "--ami and --ami-alias exclude each other\nhint: name one image"),
        (["--profile", "g5.2xlarge", "--form", "eksctl", "--cluster-name", "prod"],
         "--form eksctl: the region of the cluster is not known\nhint: add --region REGION"),
        (["--profile", "g5.2xlarge", "--form", "eksctl", "--cluster-name", "a b", "--region", "us-east-1"],
         "--cluster-name is 'a b'; letters, digits, '-' and '_' are allowed, 100 at most"),
        (["--profile", "g5.2xlarge", *IN_EKSCTL, "--ami", "ami-1"],
         "--ami: a managed node group takes EKS's image and a role of its own\nhint: leave it away, or use --form "
         "karpenter; --ami is for that form"),
        (["--profile", "g5.2xlarge", "--form", "eksctl", "--cluster-name", "prod", "--region", "moon"],
         "--region is 'moon', which is no region of AWS\nhint: write it like us-east-1"),
        (["--profile", "g6.2xlarge", "--form", "gpu-operator"],
         "--form gpu-operator: g6.2xlarge is not known to need the driver without GSP firmware\nhint: families that "
         "do: g4dn, g5; GPUs from Blackwell on do not run without it"),
    ],
    ids=lambda given: " ".join(given)[-50:].replace("/", "") if isinstance(given, list) else "",
)  # fmt: skip
def test_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(capsys, *words) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("replicas: 1\n", "/plan/profile is missing"),
        ("plan: {profile: 2xt5}\n", "profile '2xt5' is not understood"),
        ("plan: {profile: 2xt4}\nmemory: {host: {request: 900Gi}}\n", "memory.host.request 900Gi fit no AWS machine"),
        ("replica: 1\n", "unknown key; did you mean replicas?"),
        ("a: 1\n---\nb: 2\n", "holds 2 YAML documents; one is expected"),
    ],
)
def test_bad_values(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    path = tmp_path / "v.yaml"
    path.write_text(text)
    assert message in refusal(capsys, "--values", str(path), *IN_OPENSHIFT)


def test_a_named_machine_too_small_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "v.yaml"
    path.write_text("plan: {profile: g5.xlarge}\nmemory: {host: {request: 20Gi}}\n")
    assert main(["machineset", "--values", str(path), *IN_OPENSHIFT]) == 0
    assert "memory.host.request 20Gi is more than the 13.8Gi that g5.xlarge offers" in capsys.readouterr().err


def test_usage_is_exit_code_2(tmp_path: Path) -> None:
    assert run("machineset", cwd=tmp_path).returncode == 2
    assert run("machineset", "--profile", "g5.xlarge", "--form", "helm", cwd=tmp_path).returncode == 2


def fake(tmp_path: Path, name: str, script: str) -> str:
    """A PATH on which a client of the cluster is a script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / name).write_text(f"#!{sys.executable}\n{script}\n")
    (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("client", ["oc", "kubectl"])
def test_the_cluster_is_asked(tmp_path: Path, client: str) -> None:
    script = (
        "import json, sys, yaml\n"
        "words = ['get', 'machinesets.machine.openshift.io', '-n', 'openshift-machine-api', '-o', 'json']\n"
        f"print(json.dumps(yaml.safe_load(open({str(FACTS)!r})))) if sys.argv[1:] == words else sys.exit(9)"
    )
    path = fake(tmp_path, client, script)
    done = run("machineset", "--profile", "g5.2xlarge", "--from-cluster", "--zone", "b", cwd=tmp_path, PATH=path)
    assert done.returncode == 0, done.stderr
    document = yaml.safe_load(done.stdout)
    check(document)
    assert document["metadata"]["name"] == "demo-x7k2p-gpu-g5-2xlarge-us-east-2b"


def test_no_client_and_a_failing_one(tmp_path: Path) -> None:
    words = ("machineset", "--profile", "g5.2xlarge", "--from-cluster")
    done = run(*words, cwd=tmp_path, PATH="/nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: --from-cluster: neither oc nor kubectl is on PATH\nhint: ")
    path = fake(tmp_path, "oc", "import sys; sys.exit('error: You must be logged in to the server')")
    done = run(*words, cwd=tmp_path, PATH=path)
    assert done.returncode == 1
    told = "error: --from-cluster: oc failed with exit code 1: error: You must be logged in to the server\n"
    assert done.stderr.startswith(told)


def test_a_cluster_that_does_not_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fake(tmp_path, "oc", "import time; time.sleep(60)")
    monkeypatch.setattr(kubectl, "ANSWER_SECONDS", 0.2)
    monkeypatch.setenv("PATH", path)
    assert "--from-cluster: oc gave no answer within 0.2 seconds" in refusal(
        capsys, "--profile", "g5.2xlarge", "--from-cluster"
    )
