"""GPU nodes: every machine in every form against the APIs' own schemas, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner import plan
from llm_serving_planner.base.units import GIB, MIB, quantity
from llm_serving_planner.cli.main import main
from llm_serving_planner.hardware.profiles import all_instances
from llm_serving_planner.nodes.pool import NodeOptions, architecture, make_node_plan
from llm_serving_planner.nodes.workload import read_workload
from llm_serving_planner.output.render import render_values
from support.command import run
from support.helm import ROOT
from support.laws import NIGHTLY
from support.machines import DATA, FACTS, FORMS, IN_EKSCTL, IN_KARPENTER, IN_OPENSHIFT, check, item

AWS = sorted(machine.type for machine in all_instances() if machine.cloud == "aws")
SEED = ["g4dn.2xlarge", "g4dn.12xlarge", "g5.2xlarge", "g5.48xlarge", "p4d.24xlarge", "p5.48xlarge", "dl1.24xlarge",
        "g6.2xlarge", "g6.12xlarge"]  # fmt: skip


def made(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    """Valid documents that the command prints."""
    code = main(["machineset", *words])
    out, err = capsys.readouterr()
    assert code == 0, err
    documents = list(yaml.safe_load_all(out))
    for document in documents:
        check(document)
    return documents


@pytest.mark.parametrize("machine", AWS if NIGHTLY else sorted({*AWS[::6], *SEED}))
def test_every_machine_is_valid_in_every_form(capsys: pytest.CaptureFixture[str], machine: str) -> None:
    for words in FORMS.values():
        for extra in ([], ["--spot", "--no-taint", "--zone", "us-east-2a"]):
            documents = made(capsys, "--profile", f"2x{machine}", *words, *extra)
            text = json.dumps(documents)
            assert f'"{machine}"' in text
            assert ("NoSchedule" in text) is not bool(extra)


def test_the_seeds_machines_are_among_them() -> None:
    assert set(SEED) <= set(AWS)


def value(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["spec"]["template"]["spec"]["providerSpec"]["value"]
    return found


def test_a_machineset_keeps_what_is_the_clusters(capsys: pytest.CaptureFixture[str]) -> None:
    [document] = made(capsys, "--profile", "g5.48xlarge", "--zone", "b", *IN_OPENSHIFT)
    source = yaml.safe_load(FACTS.read_text())["items"][1]["spec"]["template"]["spec"]["providerSpec"]["value"]
    new = value(document)
    for key in ("ami", "subnet", "securityGroups", "iamInstanceProfile", "userDataSecret", "credentialsSecret", "tags"):
        assert new[key] == source[key], key
    assert new["placement"] == {"region": "us-east-2", "availabilityZone": "us-east-2b"}
    assert new["blockDevices"] == [{"ebs": {"volumeSize": 120, "volumeType": "gp3", "encrypted": True}}]
    node = document["spec"]["template"]["spec"]
    assert node["taints"] == [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    assert node["metadata"]["labels"] == {
        "node-role.kubernetes.io/gpu": "",
        "cluster-api/accelerator": "nvidia-a10g",
        "nvidia.com/gpu.product": "NVIDIA-A10G",
    }


def test_the_taint_is_what_the_chart_tolerates(capsys: pytest.CaptureFixture[str]) -> None:
    file = ROOT / "values" / "mistral-2xt4.yaml"
    [toleration] = yaml.safe_load(file.read_text())["gpu"]["tolerations"]
    [document] = made(capsys, "--values", str(file), *IN_OPENSHIFT, "--zone", "a")
    [taint] = document["spec"]["template"]["spec"]["taints"]
    assert (toleration["key"], toleration["effect"]) == (taint["key"], taint["effect"])


def test_gaudi_has_its_own_resource(capsys: pytest.CaptureFixture[str]) -> None:
    [document] = made(capsys, "--profile", "dl1.24xlarge", *IN_OPENSHIFT)
    assert document["spec"]["template"]["spec"]["taints"][0]["key"] == "habana.ai/gaudi"
    pool = made(capsys, "--profile", "2xdl1.24xlarge", *IN_KARPENTER)[1]
    assert pool["spec"]["limits"] == {"habana.ai/gaudi": "16"}


@pytest.mark.parametrize(
    ("words", "zones"),
    [
        (["--zone", "a"], {"us-east-2a": 5}),
        (["--zone", "us-east-2b"], {"us-east-2b": 5}),
        (["--zone", "b", "--zone", "a", "--zone", "us-east-2b"], {"us-east-2b": 3, "us-east-2a": 2}),
        (["--all-zones"], {"us-east-2a": 3, "us-east-2b": 2}),
        ([], {"us-east-2a": 5}),
        (["--all-zones", "--replicas", "0"], {"us-east-2a": 0, "us-east-2b": 0}),
        (["--all-zones", "--replicas", "1"], {"us-east-2a": 1, "us-east-2b": 0}),
    ],
)
def test_nodes_spread_over_zones(capsys: pytest.CaptureFixture[str], words: list[str], zones: dict[str, int]) -> None:
    """The zone of the arm64 MachineSet is none: its AMI would not start."""
    documents = made(capsys, "--profile", "5xg6.2xlarge", *words, *IN_OPENSHIFT)
    found = {value(document)["placement"]["availabilityZone"]: document["spec"]["replicas"] for document in documents}
    assert found == zones
    assert list(found) == list(zones)
    assert [value(document)["subnet"]["filters"][0]["values"][0].rsplit("private-")[1] for document in documents] == [
        *zones
    ]


def test_a_zone_of_another_architecture_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machineset", "--profile", "g6.2xlarge", "--all-zones", *IN_OPENSHIFT]) == 0
    assert "note: us-east-2c is left out: its MachineSet has an AMI of another architecture" in capsys.readouterr().err


def test_spot_in_each_form(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--profile", "g5.2xlarge", "--spot"]
    assert value(made(capsys, *words, *IN_OPENSHIFT)[0])["spotMarketOptions"] == {}
    priced = made(capsys, *words, "--spot-max-price", "0.75", *IN_OPENSHIFT)[0]
    assert value(priced)["spotMarketOptions"] == {"maxPrice": "0.75"}
    requirements = made(capsys, *words, *IN_KARPENTER)[1]["spec"]["template"]["spec"]["requirements"]
    assert {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]} in requirements
    assert made(capsys, *words, *IN_EKSCTL)[0]["managedNodeGroups"][0]["spot"] is True
    assert "spotMarketOptions" not in value(made(capsys, *words[:2], *IN_OPENSHIFT)[0])
    assert priced["metadata"]["name"] == "demo-x7k2p-gpu-g5-2xlarge-spot-us-east-2a"


def test_karpenter_leaves_running_pods_alone(capsys: pytest.CaptureFixture[str]) -> None:
    node_class, pool = made(capsys, "--profile", "8xa10g", *IN_KARPENTER)
    assert pool["spec"]["disruption"]["consolidationPolicy"] == "WhenEmpty"
    assert pool["spec"]["template"]["spec"]["expireAfter"] == "Never"
    assert pool["spec"]["template"]["spec"]["nodeClassRef"]["name"] == node_class["metadata"]["name"]
    assert node_class["spec"]["role"] == "KarpenterNodeRole-prod"
    [other] = made(capsys, "--profile", "8xa10g", "--form", "karpenter", "--cluster-name", "prod", "--ami",
                   "ami-0123456789abcdef0", "--node-role", "mine")[:1]  # fmt: skip
    assert other["spec"]["amiSelectorTerms"] == [{"id": "ami-0123456789abcdef0"}]
    assert other["spec"]["role"] == "mine"


@pytest.mark.parametrize(
    ("profile", "nodes", "machine"),
    [
        ("8xa10g", 1, "g5.48xlarge"),
        ("2x1xt4", 2, "g4dn.xlarge"),
        ("2xt4", 1, "g4dn.12xlarge"),
        ("4xl4", 1, "g6.12xlarge"),
        ("1xh100", 1, "p5.4xlarge"),
        ("8xh100", 1, "p5.48xlarge"),
        ("3x8xgaudi1", 3, "dl1.24xlarge"),
        ("2xG4DN.12XLARGE", 2, "g4dn.12xlarge"),
        ("g4dn.metal", 1, "g4dn.metal"),
    ],
)
def test_a_profile_names_machines(profile: str, nodes: int, machine: str) -> None:
    plan = make_node_plan(profile, NodeOptions())
    assert (plan.nodes, plan.instance.type) == (nodes, machine)
    assert any("is not in the data" in note for note in plan.notes)


def test_a_users_description_of_gpus_names_a_machine(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("gpu: t4\ngpusPerNode: 2\nnodes: 3\n")
    plan = make_node_plan(str(path), NodeOptions())
    assert (plan.nodes, plan.instance.type) == (3, "g4dn.12xlarge")


def test_a_counted_profile_says_which_machine_it_became() -> None:
    plan = make_node_plan("2xt4", NodeOptions())
    assert plan.notes[0] == "2xt4: g4dn.12xlarge has 4 x Tesla T4 (3.91 USD/h, cheapest of 2 with 2 or more)"


def test_a_cheaper_machine_never_exists() -> None:
    for gpu in {machine.gpu for machine in all_instances() if machine.cloud == "aws"}:
        same = [m for m in all_instances() if m.cloud == "aws" and m.gpu == gpu and m.gpu_fraction == 1]
        for count in {machine.count for machine in same}:
            taken = make_node_plan(f"{count}x{gpu}", NodeOptions()).instance
            assert taken.count >= count
            prices = [m.usd_per_hour for m in same if m.count >= count and m.usd_per_hour and m.status == taken.status]
            assert not prices or taken.usd_per_hour == min(prices)


def values_file(tmp_path: Path, *words: str, model: str = "mistralai/Mistral-7B-Instruct-v0.2") -> Path:
    done = run("values", model, "--offline", "-o", "v.yaml", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "v.yaml"


def test_a_values_file_sizes_nodes_and_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five engines of two GPUs share machines of four; an emptyDir lies on the root volume."""
    file = values_file(tmp_path, "--profile", "2xt4", "--replicas", "5", "--storage", "emptyDir")
    size = int(quantity(yaml.safe_load(file.read_text())["storage"]["size"]) / GIB)
    [document] = made(capsys, "--values", str(file), *IN_OPENSHIFT)
    assert document["spec"]["replicas"] == 3
    volume = value(document)["blockDevices"][0]["ebs"]["volumeSize"]
    assert volume == max(120, 10 * -(-(40 + 30 + size) * 100 // 85 // 10))
    assert volume > size + 70


def test_a_values_file_chooses_a_machine_with_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One L4 is in g6.xlarge too, but the pod's memory is not."""
    file = values_file(tmp_path, "--profile", "1xl4")
    wanted = yaml.safe_load(file.read_text())["memory"]["host"]["request"]
    [document] = made(capsys, "--values", str(file), *IN_OPENSHIFT)
    machine = next(m for m in all_instances() if m.type == value(document)["instanceType"])
    assert machine.allocatable_memory_mib is not None
    assert machine.allocatable_memory_mib * MIB >= quantity(wanted)
    bigger = yaml.safe_load(file.read_text())
    bigger["memory"]["host"] = {"request": "100Gi", "limit": "100Gi"}
    file.write_text(yaml.safe_dump(bigger))
    [document] = made(capsys, "--values", str(file), *IN_OPENSHIFT)
    assert value(document)["instanceType"] == "gr6.4xlarge"


@pytest.mark.parametrize(
    "text",
    [
        yaml.safe_dump(item()),
        json.dumps(item()),
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [item()]}),
        yaml.safe_dump({"apiVersion": "machine.openshift.io/v1beta1", "kind": "MachineSetList", "items": [item()]}),
        "---\n" + yaml.safe_dump_all([item(), item()]),
    ],
    ids=["yaml", "json", "list", "machinesetlist", "documents"],
)
def test_facts_come_in_several_shapes(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "facts"
    path.write_text(text)
    [document] = made(capsys, "--profile", "g5.2xlarge", "--cluster-facts", str(path))
    assert document["metadata"]["name"] == "demo-x7k2p-gpu-g5-2xlarge-us-east-2a"


def test_a_volume_keeps_its_key_and_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = item()
    ebs = {"encrypted": True, "volumeSize": 50, "volumeType": "io1", "iops": 2000, "kmsKey": {"arn": "arn:aws:kms:1"}}
    value(given)["blockDevices"] = [{"deviceName": "/dev/sdb", "ebs": {"volumeSize": 1}}, {"ebs": ebs}]
    value(given)["placement"]["tenancy"] = "dedicated"
    path = tmp_path / "facts"
    path.write_text(json.dumps(given))
    words = ["--cluster-facts", str(path), "--root-volume-gib", "300"]
    [document] = made(capsys, "--profile", "g5.2xlarge", *words)
    assert value(document)["blockDevices"] == [{"ebs": {**ebs, "volumeSize": 300}}]
    assert value(document)["placement"]["tenancy"] == "dedicated"


def test_gsp_firmware_for_the_families_that_need_it(capsys: pytest.CaptureFixture[str]) -> None:
    config, policy = made(capsys, "--profile", "g5.48xlarge", "--form", "gpu-operator")
    assert config["data"] == {"nvidia.conf": "NVreg_EnableGpuFirmware=0"}
    assert config["metadata"]["namespace"] == "nvidia-gpu-operator"
    assert policy["spec"]["driver"]["kernelModuleConfig"]["name"] == config["metadata"]["name"]
    for machine in AWS:
        main(["machineset", "--profile", machine, *IN_OPENSHIFT])
        told = "--form gpu-operator writes that" in capsys.readouterr().err
        assert told is machine.startswith(("g4dn.", "g5.")), machine


def test_architectures() -> None:
    assert {architecture(machine) for machine in AWS} == {"amd64"}
    arm = ["a1.large", "m6g.xlarge", "c7gd.2xlarge", "g5g.xlarge", "x2gd.large", "im4gn.large", "r8g.large"]
    assert {architecture(machine) for machine in arm} == {"arm64"}
    assert {architecture(machine) for machine in ("m6i.large", "g5.xlarge", "gr6.4xlarge", "c6gn" + "x")} == {"amd64"}


def test_a_file_is_whole_and_the_same(tmp_path: Path) -> None:
    words = ("machineset", "--profile", "g5.48xlarge", *IN_OPENSHIFT, "--all-zones")
    done = run(*words, "-o", "out/m.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("wrote out/m.yaml\n")
    text = (tmp_path / "out" / "m.yaml").read_text()
    assert text == run(*words, cwd=tmp_path).stdout
    whole = json.loads(run(*words, "--format", "json", cwd=tmp_path).stdout)
    assert whole == {"apiVersion": "v1", "kind": "List", "items": list(yaml.safe_load_all(text))}
    folder = run(*words, "-o", "out", cwd=tmp_path)
    assert (folder.returncode, folder.stderr.splitlines()[-2:]) == (
        1,
        ["error: out: is a folder; only a regular file is replaced", "hint: name a file in it"],
    )


def test_the_header_gives_the_command(tmp_path: Path) -> None:
    words = ["--profile", "2xg5.48xlarge", *IN_OPENSHIFT, "--zone", "a", "--zone", "b", "--spot", "--no-taint"]
    text = run("machineset", *words, cwd=tmp_path).stdout
    command = text.splitlines()[2].removeprefix("#   llm-serving ")
    assert run(*command.split(), cwd=tmp_path).stdout == text


GOLDEN = {
    "machineset": ["--profile", "2xg5.48xlarge", "--cluster-facts", "tests/data/nodes/machinesets.yaml", "--all-zones"],
    "karpenter": ["--profile", "8xa10g", *IN_KARPENTER],
    "eksctl": ["--values", "values/mistral-2xt4.yaml", *IN_EKSCTL],
    "gpu-operator": ["--profile", "g5.48xlarge", "--form", "gpu-operator"],
}


@pytest.mark.parametrize("form", GOLDEN)
def test_golden(form: str) -> None:
    """Written again with UPDATE_GOLDEN=1; review the difference."""
    words = [sys.executable, "-m", "llm_serving_planner", "machineset", *GOLDEN[form]]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    path = DATA / "nodes" / f"golden-{form}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(done.stdout)
    assert done.stdout == path.read_text()


@pytest.mark.parametrize(("profile", "nodes"), [("p5.48xlarge", 1), ("2xp5.48xlarge", 2)])
def test_replicas_of_a_small_model_fill_the_machines_of_the_profile(tmp_path: Path, profile: str, nodes: int) -> None:
    (tmp_path / "x.yaml").write_text(render_values(plan("Qwen/Qwen3-8B", profile, offline=True)))
    name, pods = read_workload(tmp_path / "x.yaml")
    assert (name, pods.replicas, pods.gpus_per_pod) == (profile, 8 * nodes, 1)
    assert make_node_plan(name, NodeOptions(region="us-east-1"), pods).nodes == nodes
