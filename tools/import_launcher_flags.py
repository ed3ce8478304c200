"""Write the flag tables of TGI and TGIS from the sources of their launchers, which are frozen.

    python tools/import_launcher_flags.py TGI_REPOSITORY TGIS_REPOSITORY

Each argument is a clone (bare or not). Kept per flag: its default; the variable is the name in upper case, as clap's
`env` makes it. The other variables, which no struct lists, are written here by hand with the file that reads them.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).parent.parent / "generator" / "llm_serving_planner" / "data" / "launcher_flags.json"
LAUNCHER = "launcher/src/main.rs"
ENGINES = {
    "tgi": ("huggingface/text-generation-inference", "v3.3.7"),
    "tgis": ("opendatahub-io/text-generation-inference", "1db8cf0"),
}
VARIABLES = {
    "tgi": {
        "HF_HOME": "huggingface_hub constants.py",
        "HF_HUB_OFFLINE": "huggingface_hub constants.py",
        "HF_TOKEN": "launcher/src/main.rs",
        "TRITON_CACHE_DIR": "Triton runtime/cache.py",
        "TORCHINDUCTOR_CACHE_DIR": "PyTorch _inductor/runtime/cache_dir_utils.py",
    },
    "tgis": {
        "HF_HUB_CACHE": "launcher/src/main.rs",
        "HF_HUB_OFFLINE": "huggingface_hub constants.py",
        "HF_TOKEN": "huggingface_hub utils/_auth.py",
        "TRUST_REMOTE_CODE": "server/text_generation_server/utils/hub.py",
        "FLASH_ATTENTION": "server/text_generation_server/models/__init__.py",
        "PAGED_ATTENTION": "server/text_generation_server/models/__init__.py",
        "ESTIMATE_MEMORY": "server/text_generation_server/utils/memory_characterizer.py",
    },
}
_FIELD = re.compile(r"#\[clap\(([^\]]*)\)\]\s*(?:pub\s+)?([a-z_]+):", re.DOTALL)
_DEFAULT = re.compile(r'default_value(?:_t)?\s*=\s*"?([^",)]+)"?')


def flags_of(repository: str, revision: str) -> dict[str, str | None]:
    """Default of each flag of the launcher's `Args`; None where there is none."""
    text = subprocess.run(
        ["git", "-C", repository, "show", f"{revision}:{LAUNCHER}"], capture_output=True, text=True, check=True
    ).stdout
    struct = text.split("struct Args {", 1)[1].split("\n}\n", 1)[0]
    found: dict[str, str | None] = {}
    for settings, name in _FIELD.findall(struct):
        if "long" in settings:
            default = _DEFAULT.search(settings)
            found[name.replace("_", "-")] = default.group(1) if default and default.group(1) != "None" else None
    return found


def main() -> None:
    """Read both, write the table."""
    engines = {}
    for (name, (repository, revision)), path in zip(ENGINES.items(), sys.argv[1:3], strict=True):
        engines[name] = {
            "source": f"{repository}@{revision}:{LAUNCHER}",
            "version": revision.removeprefix("v"),
            "flags": flags_of(path, revision),
            "variables": VARIABLES[name],
        }
    document = {"_generated": "by tools/import_launcher_flags.py; do not edit", "date": "2026-11-25", **engines}
    TARGET.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print({name: len(entry["flags"]) for name, entry in engines.items()}, file=sys.stderr)


if __name__ == "__main__":
    main()
