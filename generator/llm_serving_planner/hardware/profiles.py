"""GPU profiles: `2xt4`, `2x8xh100`, `g5.48xlarge`, `2xg4dn.12xlarge`, `cpu`, or a user's YAML file.

Facts of GPUs and machines are in data/gpus.json and data/instances.json, each row with its source and date.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.records import record, replace
from llm_serving_planner.base.tables import load_data
from llm_serving_planner.base.validation import validate_with

if TYPE_CHECKING:
    from pathlib import Path

Link = Literal["none", "pcie", "nvlink", "nvswitch", "unknown"]

MOST_GPUS_PER_NODE = 16
PLANNED_VENDORS = {"nvidia", "amd", "intel", "cpu"}  # planner.devices.registry adds what is registered there
# Values of `vendor` in a user's file: the vendor's name here, and the resource that its device plugin offers.
_FILE_VENDORS = {
    "nvidia": ("nvidia", "nvidia.com/gpu"),
    "amd": ("amd", "amd.com/gpu"),
    "gaudi": ("intel", "habana.ai/gaudi"),
}
# Names that people write for the part they most likely mean.
ALIASES = {
    "a100": "a100-80gb",
    "a100-40g": "a100-40gb",
    "a100-80g": "a100-80gb",
    "h100": "h100-80gb",
    "h100-sxm": "h100-80gb",
    "v100": "v100-16gb",
    "a6000": "rtx-a6000",
    "4090": "rtx-4090",
    "rtx4090": "rtx-4090",
    "5090": "rtx-5090",
    "rtx5090": "rtx-5090",
    "3090": "rtx-3090",
    "rtx3090": "rtx-3090",
    "3080": "rtx-3080",
    "rtx3080": "rtx-3080",
    "3060": "rtx-3060",
    "rtx3060": "rtx-3060",
    "4080": "rtx-4080",
    "rtx4080": "rtx-4080",
    "5080": "rtx-5080",
    "rtx5080": "rtx-5080",
    "2080ti": "rtx-2080-ti",
    "rtx-2080ti": "rtx-2080-ti",
    "rtx2080ti": "rtx-2080-ti",
    "4060ti-16gb": "rtx-4060-ti-16gb",
    "a4000": "rtx-a4000",
    "a5000": "rtx-a5000",
    "6000-ada": "rtx-6000-ada",
    "rtx6000ada": "rtx-6000-ada",
    "h20-96gb": "h20",
    "a800": "a800-80gb",
    "h800-80gb": "h800",
    "dgx-spark": "gb10",
    "thor": "jetson-thor",
    "p100": "p100-16gb",
    "mi250": "mi250x",
    "hl-205": "gaudi1",
    "hl-225": "gaudi2",
    "hl-325": "gaudi3",
}
_SLICES = re.compile(r"((?:\d{1,9}x)?\d{1,9})x([a-z0-9][a-z0-9.-]*):(([1-7])g\.(\d{1,4})gb)", re.ASCII)
_WITH_MIG = ("a30", "a100", "a800", "h100", "h800", "h20", "gh200", "b200", "gb200", "rtx-pro-6000")
_SLICE_SHARE = 0.98  # of its part of the GPU's memory: MIG keeps some for itself; assumption
_COMPUTE_SLICES = 7  # NVIDIA MIG user guide: a GPU has seven slices of its processors
_PROFILE = re.compile(r"(?:(\d{1,9})x)?(\d{1,9})x([a-z0-9][a-z0-9.-]*)", re.ASCII)
_CPUS = re.compile(r"(?:(\d{1,9})x)??(?:(\d{1,9})x)?cpu", re.ASCII)
_MACHINES = re.compile(r"(?:(\d{1,9})x)?(.+)", re.ASCII)
_LINKS: dict[str, Link] = {"none": "none", "pcie": "pcie", "nvlink": "nvlink", "nvswitch": "nvswitch"}


@record
class GpuType:
    """One GPU; memory in GiB as CUDA reports it, bandwidth in GB/s, rates in dense TFLOPS.

    `generation` is gfx942 and the like (AMD) or gaudi2 (Intel), empty for NVIDIA's, which have a compute capability.
    `gfd_product_labels` are values of the label that names the product, whoever sets it.
    """

    id: str
    vendor: str
    device_name: str
    architecture: str
    compute_capability: str
    memory_usable_gib: float
    memory_basis: str
    bandwidth_gb_s: float | None
    fp16_tflops: float | None
    nvlink_gb_s: float | None
    resource_name: str
    gfd_product_labels: tuple[str, ...]
    source: str
    date: str
    fp8_tflops: float | None = None
    generation: str = ""

    @property
    def part(self) -> bool:
        """A slice (MIG), a time share or a virtual part: a process sees one of them, and none talks to another."""
        words = (self.resource_name, *self.gfd_product_labels)
        return any("/mig-" in word or "-MIG-" in word or "SHARED" in word or ".shared" in word for word in words)


@record
class Instance:
    """A cloud machine type; `gpu_fraction` below 1 is a slice of a GPU, network rates are in Gbit/s.

    `status` is listed, no-on-demand, delisted or unverified.
    """

    type: str
    cloud: str
    gpu: str
    count: int
    gpu_fraction: float
    vcpu: float | None
    allocatable_cpu_m: int | None
    allocatable_memory_mib: int | None
    interconnect: str
    network_gbps: float | None
    usd_per_hour: float | None
    usd_region: str | None
    usd_date: str | None
    status: str
    source: str
    date: str


@record
class GpuProfile:
    """GPUs that one deployment may use; `exact_count` when the user named their number."""

    name: str
    nodes: int
    gpus_per_node: int
    gpu: GpuType
    link: Link
    exact_count: bool
    instance: Instance | None = None
    node_cpu_m: int | None = None
    node_memory_mib: int | None = None


def _rows(name: str) -> list[dict[str, Any]]:
    data = load_data(name)
    rows: list[dict[str, Any]] = data["rows"]
    return rows


@cache
def all_gpus() -> tuple[GpuType, ...]:
    """Every GPU of the data, other vendors' included."""
    names = [field for field in GpuType.__match_args__ if field not in {"gfd_product_labels", "generation"}]
    found = []
    others = _other_gpus()
    for row in _rows("gpus.json"):
        fields: dict[str, Any] = {name: row[name] for name in names}
        fields["compute_capability"] = row["compute_capability"] or ""
        fields["gfd_product_labels"] = tuple(row["gfd_product_labels"])
        found.append(GpuType(**{**fields, **_corrections(fields, others.pop(row["id"], {}))}))
    found += [GpuType(id=name, compute_capability="", nvlink_gb_s=0.0, **_fields(row)) for name, row in others.items()]
    return tuple(found)


def _other_gpus() -> dict[str, Any]:
    """GPUs of data/accelerators.json: what gpus.json lacks of them, or all of one that it does not have."""
    data = load_data("accelerators.json")
    found: dict[str, Any] = data["gpus"]
    return dict(found)


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    return {("gfd_product_labels" if key == "product_labels" else key): tuple(value) if isinstance(value, list) else
            value for key, value in row.items()}  # fmt: skip


def _corrections(fields: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """What data/accelerators.json says of a GPU, its source behind the other one."""
    if not row:
        return {}
    source = "; ".join(text for text in (fields["source"], row["source"]) if text)
    return {**_fields(row), "source": source, "date": fields["date"]}


@cache
def all_instances() -> tuple[Instance, ...]:
    """Every machine type of the data."""
    names = Instance.__match_args__
    return tuple(Instance(**{name: row[name] for name in names}) for row in _rows("instances.json"))


def profile_grid() -> list[GpuProfile]:
    """Every GPU of CUDA whose memory was seen, times 1, 2, 4 and 8."""
    known = [gpu for gpu in all_gpus() if gpu.compute_capability and gpu.memory_basis.startswith("CUDA total")]
    return [parse_profile(f"{count}x{gpu.id}") for gpu in known for count in (1, 2, 4, 8)]


def parse_profile(text: str) -> GpuProfile:
    """Read a profile.

    Raises:
        InputError: one line that says what is wrong, and a hint.
    """
    if not text.strip():
        raise InputError("the profile is empty", hint=_HOW)
    if text.endswith((".yaml", ".yml")) or "/" in text:
        from pathlib import Path

        return _from_file(Path(text))
    name = text.strip().lower()
    cpus = _CPUS.fullmatch(name)
    if cpus:
        nodes, count = (int(number or 1) for number in cpus.groups())
        _check(name, nodes, count, CPU)
        return GpuProfile(name, nodes, count, CPU, "none", exact_count=True)
    sliced = _SLICES.fullmatch(name)
    if sliced and _gpu_id(sliced.group(2)) is not None:
        return _of_slices(name, sliced)
    counted = _PROFILE.fullmatch(name)
    if counted and _gpu_id(counted.group(3)) is not None:
        return _of_gpu(name, int(counted.group(1) or 1), int(counted.group(2)), str(_gpu_id(counted.group(3))))
    machine = _MACHINES.fullmatch(name)
    if machine:
        found = _instance(machine.group(2)) or _instance(name)
        if found is not None:
            nodes = int(machine.group(1) or 1) if _instance(name) is None else 1
            return _of_machine(name, nodes, found)
    if "tpu" in name:
        raise InputError(
            f"profile {name!r}: a TPU is no GPU; GPUs of NVIDIA and AMD and Intel's Gaudi are planned", hint=_HOW
        )
    raise InputError(f"profile {text!r} is not understood", hint=_hint(name))


_HOW = "write 2xt4, 2x8xh100 (nodes x GPUs), g5.48xlarge or a YAML file; `llm-serving profiles` lists all"


_CARD = """a card that is not listed is described in a file, such as card.yaml with --profile ./card.yaml:
  gpusPerNode: 2
  gpu:
    name: NVIDIA X            # as nvidia-smi prints it
    usableMemoryGiB: 23.5     # torch.cuda.get_device_properties(0).total_memory / 2**30
    computeCapability: "8.6"  # nvidia-smi --query-gpu=compute_cap --format=csv
    bandwidthGBs: 936         # for speeds; may be left away"""


def _hint(name: str) -> str:
    import difflib

    last = name.rsplit("x", 1)[-1] if re.match(r"[-\d.]+x", name) else name
    known = [gpu.id for gpu in all_gpus()] + [machine.type.lower() for machine in all_instances()] + list(ALIASES)
    near = difflib.get_close_matches(last[:100], known, n=1, cutoff=0.6)
    alike = near and near[0] != last and _number(near[0]) == _number(last)  # another number is another card
    return f"did you mean {near[0]}? {_HOW}" if alike else f"{_HOW}\n{_CARD}"


def _number(name: str) -> str:
    return next(iter(re.findall(r"\d+", name)), "")


def _gpu_id(name: str) -> str | None:
    wanted = ALIASES.get(name, name)
    return wanted if any(gpu.id == wanted for gpu in all_gpus()) else None


def _instance(name: str) -> Instance | None:
    return next((machine for machine in all_instances() if machine.type.lower() == name), None)


def _find_gpu(gpu_id: str) -> GpuType:
    return next(gpu for gpu in all_gpus() if gpu.id == gpu_id)


def _of_gpu(name: str, nodes: int, count: int, gpu_id: str) -> GpuProfile:
    gpu = _find_gpu(gpu_id)
    _check(name, nodes, count, gpu)
    link: Link = "none" if count == 1 else ("nvlink" if gpu.nvlink_gb_s else "pcie")
    return GpuProfile(name, nodes, count, gpu, link, exact_count=True)


def _of_slices(name: str, found: re.Match[str]) -> GpuProfile:
    """`4xh100-80gb:3g.40gb`: slices by the names of the MIG profiles, as nodes of the mixed strategy offer them."""
    count, gpu_id, label, parts, size = found.groups()
    whole = _of_gpu(name, 1, 1, str(_gpu_id(gpu_id))).gpu
    nominal = _nominal_gb(whole.id)
    if not _has_mig(whole) or int(size) > nominal:
        raise InputError(
            f"profile {name!r}: {whole.device_name} has no MIG slice {label}",
            hint="A30, A100, H100, H200, GH200, B200 and RTX PRO 6000 have some; `nvidia-smi mig -lgip` lists them",
        )
    share = int(parts) / _COMPUTE_SLICES
    gpu = replace(
        whole,
        id=f"{whole.id}:{label}",
        device_name=f"{whole.device_name} MIG {label}",
        memory_usable_gib=round(whole.memory_usable_gib * int(size) / nominal * _SLICE_SHARE, 2),
        memory_basis=f"estimate: {size} of {nominal} GB, less 2 %",
        bandwidth_gb_s=whole.bandwidth_gb_s and whole.bandwidth_gb_s * int(size) / nominal,
        fp16_tflops=whole.fp16_tflops and whole.fp16_tflops * share,
        fp8_tflops=whole.fp8_tflops and whole.fp8_tflops * share,
        nvlink_gb_s=0.0,
        resource_name=f"nvidia.com/mig-{label}",
        gfd_product_labels=(),
    )
    nodes, _, each = count.rpartition("x")
    _check(name, int(nodes or 1), int(each), gpu, most=_COMPUTE_SLICES * MOST_GPUS_PER_NODE)
    return GpuProfile(name, int(nodes or 1), int(each), gpu, "none", exact_count=True)


def _has_mig(gpu: GpuType) -> bool:
    """GPUs of data centres from Ampere on (NVIDIA MIG user guide, read 2026-11-29)."""
    return gpu.id.startswith(_WITH_MIG)


@cache
def _nominal_gb(gpu_id: str) -> int:
    return int(next(row["memory_nominal_gb"] for row in _rows("gpus.json") if row["id"] == gpu_id))


def _of_machine(name: str, nodes: int, machine: Instance) -> GpuProfile:
    gpu = _find_gpu(machine.gpu)
    _check(name, nodes, machine.count, gpu)
    if machine.gpu_fraction < 1:
        raise InputError(
            f"{machine.type} offers {machine.gpu_fraction:g} of a {gpu.device_name}: slices of a GPU are not sized",
            hint="choose a machine with whole GPUs, or describe the slice in a YAML file with its own memory",
        )
    return GpuProfile(
        name,
        nodes,
        machine.count,
        gpu,
        _LINKS.get(machine.interconnect.lower(), "unknown") if machine.count > 1 else "none",
        exact_count=False,
        instance=machine,
        node_cpu_m=machine.allocatable_cpu_m,
        node_memory_mib=machine.allocatable_memory_mib,
    )


def _check(name: str, nodes: int, count: int, gpu: GpuType, *, most: int = MOST_GPUS_PER_NODE) -> None:
    if nodes < 1 or count < 1:
        raise InputError(f"profile {name!r}: at least one node and one GPU are needed")
    if count > most:
        raise InputError(
            f"profile {name!r}: {count} GPUs in one node; {most} are the most",
            hint="write <nodes>x<GPUs per node>x<GPU> for several nodes",
        )
    if gpu.vendor not in PLANNED_VENDORS:
        raise InputError(
            f"profile {name!r}: {gpu.device_name} is of {gpu.vendor}; GPUs of NVIDIA and AMD and Intel's Gaudi are "
            "planned"
        )


def _from_file(path: "Path") -> GpuProfile:
    """A user's own description, checked against data/gpu-profile.schema.json."""
    from llm_serving_planner.base.documents import load_values

    data = load_values(path)
    schema = load_data("gpu-profile.schema.json")
    validate_with(schema, data, str(path))
    given = data["gpu"]
    if isinstance(given, str):
        gpu_id = _gpu_id(given.lower())
        if gpu_id is None:
            raise InputError(f"{path}: /gpu: {given!r} is not a known GPU", hint=_hint(given.lower()))
        gpu = _find_gpu(gpu_id)
    else:
        vendor, resource = _FILE_VENDORS[given.get("vendor", "nvidia")]
        gpu = GpuType(
            id=given["name"].lower().replace(" ", "-"),
            vendor=vendor,
            device_name=given["name"],
            architecture="",
            compute_capability=given.get("computeCapability", ""),
            generation=given.get("generation", ""),
            memory_usable_gib=float(given["usableMemoryGiB"]),
            memory_basis=f"given in {path.name}",
            bandwidth_gb_s=given.get("bandwidthGBs"),
            fp16_tflops=None,
            nvlink_gb_s=None,
            resource_name=given.get("resourceName", resource),
            gfd_product_labels=(given["productLabel"],) if "productLabel" in given else (),
            source=str(path.name),
            date="",
        )
    count, nodes = data["gpusPerNode"], data.get("nodes", 1)
    _check(path.name, nodes, count, gpu)
    node = data.get("node", {})
    return GpuProfile(
        str(path),
        nodes,
        count,
        gpu,
        "none" if count == 1 else data.get("link", "pcie"),
        exact_count=True,
        node_cpu_m=int(node["cpu"] * 1000) if "cpu" in node else None,
        node_memory_mib=int(node["memoryGiB"] * 1024) if "memoryGiB" in node else None,
    )


PROCESS_MEMORY_GIB = 16  # of one rank, weights and cache together; assumption, told in the plan


CPU = GpuType(
    id="cpu",
    vendor="cpu",
    device_name="CPU",
    architecture="x86-64",
    compute_capability="",
    memory_usable_gib=float(PROCESS_MEMORY_GIB),
    memory_basis="assumption: memory that one engine process may use",
    bandwidth_gb_s=None,
    fp16_tflops=None,
    nvlink_gb_s=None,
    resource_name="",
    gfd_product_labels=(),
    source="docs/getting_started/installation/cpu.md of vLLM 0.33.0",
    date="2026-11-22",
)
