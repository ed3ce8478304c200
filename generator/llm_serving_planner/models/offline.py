"""Whether the hub may be asked: the one decision, for every module that would."""

import os

# As huggingface_hub reads them: the first that is not empty decides, so HF_HUB_OFFLINE=0 beats TRANSFORMERS_OFFLINE=1
# (huggingface_hub 2.4.0 constants.py:HF_HUB_OFFLINE and ENV_VARS_TRUE_VALUES, read 2026-11-29). The library itself is
# not asked: its import takes longer than an offline plan.
_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


def is_offline(*, asked: bool = False) -> bool:
    """Whether the user (`asked`, from --offline) or the environment forbids to ask the hub."""
    deciding = next((value for name in _VARIABLES if (value := os.environ.get(name))), "")
    return asked or deciding.upper() in _TRUE
