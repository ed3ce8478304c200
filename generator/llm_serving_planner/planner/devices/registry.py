"""The devices by vendor: the one place that knows which there are."""

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.hardware import profiles
from llm_serving_planner.hardware.profiles import GpuType
from llm_serving_planner.planner.devices.base import Device
from llm_serving_planner.planner.devices.cpu import Cpu
from llm_serving_planner.planner.devices.nvidia import Nvidia
from llm_serving_planner.planner.devices.rocm_gaudi import Amd, Gaudi

_DEVICES: dict[str, Device] = {}


def register(device: Device) -> None:
    """Make the devices of a vendor known, in place of what is known of it; profiles of them can be read from now on."""
    _DEVICES[device.vendor] = device
    profiles.PLANNED_VENDORS.add(device.vendor)


for _device in (Nvidia(), Amd(), Gaudi(), Cpu()):
    register(_device)


def find(gpu: GpuType) -> Device | None:
    """The device of a GPU; None for one that is not planned."""
    return _DEVICES.get(gpu.vendor)


def device_of(gpu: GpuType) -> Device:
    """The device of a GPU.

    Raises:
        InputError: none of its vendor is planned.
    """
    found = find(gpu)
    if found is None:
        raise InputError(f"{gpu.device_name} is of {gpu.vendor}, whose devices are not planned")
    return found


def is_measured(gpu: GpuType) -> bool:
    """Whether start-ups were measured on GPUs of that vendor."""
    found = find(gpu)
    return found is not None and found.measured
