"""What one checkout does, as JSON on stdout; run by the checkout's own Python. See same_behaviour.py."""

import hashlib
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

# Options that reach what a plain plan does not: other engines, layouts, features.
PINS: tuple[dict[str, Any], ...] = (
    {},
    {"engine": "tgi"},
    {"engine": "tgis"},
    {"max_model_len": 4096, "kv_cache_dtype": "fp8", "enforce_eager": True},
    {"data_parallel_size": 2, "enable_expert_parallel": True},
    {"speculative": "ngram", "prefix_caching": "off", "kv_offload_gib": 8.0},
    {"engine_version": "0.25.1", "quantization": "fp8", "max_num_seqs": 64},
)
EXTRA_PROFILES = (
    "cpu", "2xcpu", "2x2xcpu", "2x8xh100", "4x8xh100", "2x4xl40s", "1xmi300x", "8xmi300x", "8xgaudi2", "8xgaudi3",
    "2x1xt4",
)  # fmt: skip


def digest(text: str) -> str:
    """Short name of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def planner() -> Any:
    """Functions by name, from wherever this checkout keeps them (the older layout first)."""
    places = {
        "make_plan": ("llm_serving.plan", "llm_serving_planner.planner.proposals"),
        "Options": ("llm_serving.options", "llm_serving_planner.planner.options"),
        "parse_profile": ("llm_serving.profiles", "llm_serving_planner.hardware.profiles"),
        "all_gpus": ("llm_serving.profiles", "llm_serving_planner.hardware.profiles"),
        "all_instances": ("llm_serving.profiles", "llm_serving_planner.hardware.profiles"),
        "model_ids": ("llm_serving.catalogue", "llm_serving_planner.models.embedded"),
        "find": ("llm_serving.catalogue", "llm_serving_planner.models.embedded"),
        "render_values": ("llm_serving.render", "llm_serving_planner.output.render"),
        "text_report": ("llm_serving.report", "llm_serving_planner.output.report"),
        "ways_out": ("llm_serving.alternatives", "llm_serving_planner.planner.ways_out"),
        "LlmServingError": ("llm_serving.errors", "llm_serving_planner.base.errors"),
        "DoesNotFitError": ("llm_serving.errors", "llm_serving_planner.base.errors"),
    }
    found = {}
    for name, modules in places.items():
        for module in modules:
            try:
                found[name] = getattr(importlib.import_module(module), name)
                break
            except ModuleNotFoundError:
                continue
    return type("Planner", (), {name: staticmethod(value) for name, value in found.items()})


def profiles(p: Any) -> list[str]:
    """Every GPU times 1, 2, 4 and 8, every machine type, and several nodes, CPUs and other vendors."""
    counted = [f"{count}x{gpu.id}" for gpu in p.all_gpus() for count in (1, 2, 4, 8)]
    machines = [machine.type for machine in p.all_instances()]
    good = []
    for name in dict.fromkeys((*counted, *machines, *EXTRA_PROFILES)):
        try:
            p.parse_profile(name)
        except p.LlmServingError:
            continue
        good.append(name)
    return good


def answer(p: Any, spec: Any, profile: Any, options: Any) -> str:
    """The plan as JSON, or the refusal with all its reasons."""
    try:
        return json.dumps(p.make_plan(spec, profile, options).to_dict(), sort_keys=True, default=str)
    except p.DoesNotFitError as error:
        return f"{error}: {json.dumps(error.reasons)}"
    except p.LlmServingError as error:
        return f"{type(error).__name__}: {error} ({error.hint})"


def plans(p: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Digests of all plans, and of reports, values files and ways out for a part of them."""
    found: dict[str, str] = {}
    told: dict[str, str] = {}
    specs = [p.find(name) for name in p.model_ids()]
    grid = [p.parse_profile(name) for name in profiles(p)]
    for number, spec in enumerate(specs):
        for place, profile in enumerate(grid):
            found[f"{spec.model_id} on {profile.name}"] = digest(answer(p, spec, profile, p.Options()))
            if (number + place) % 5:
                continue
            # A different pin for each pair, so that every pin meets many models and profiles.
            pins = PINS[1 + (number + place) // 5 % (len(PINS) - 1)]
            key = f"{spec.model_id} on {profile.name} with {json.dumps(pins)}"
            found[key] = digest(answer(p, spec, profile, p.Options(**pins)))
            if (7 * number + place) % 97 == 0:
                told[key] = digest(texts(p, spec, profile, p.Options(**pins)))
                told[f"{spec.model_id} on {profile.name}"] = digest(texts(p, spec, profile, p.Options()))
    return found, told


def texts(p: Any, spec: Any, profile: Any, options: Any) -> str:
    """Report and values file of a plan, or the ways out of its refusal."""
    try:
        try:
            plan = p.make_plan(spec, profile, options)
        except p.DoesNotFitError:
            return "\n".join(p.ways_out(spec, profile, options))
        return str(p.text_report(plan)) + str(p.render_values(plan))
    except p.LlmServingError as error:
        return f"{error}"


def renders(tree: Path) -> dict[str, str]:
    """Digest of every object that the chart makes of its ci files and of the values files, and refusals' texts."""
    import yaml
    from helm_python import Chart, HelmError, _native

    folder = tree / "charts" / "llm-serving"
    apis = [
        "leaderworkerset.x-k8s.io/v1", "ray.io/v1", "keda.sh/v1alpha1", "kueue.x-k8s.io/v1beta1",
        "route.openshift.io/v1", "monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1",
        "inference.networking.k8s.io/v1",
    ]  # fmt: skip
    chart = Chart.load(str(folder))
    found = {}
    files = [*sorted(folder.glob("ci/*-values.yaml")), *sorted((tree / "values").glob("*.yaml"))]
    for path in files:
        if path.name == "catalog.yaml":
            continue
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, served in (("mistral", apis), ("a" * 53, apis), ("no-apis", [])):
            options = json.dumps({"name": name, "namespace": "llm", "api_versions": served})
            try:
                raw = chart._raw()  # noqa: SLF001 - the wheel has no public way to name APIs
                rendered = json.loads(_native.call_string("helm_render", raw, json.dumps(values), options))
            except HelmError as error:
                # Helm names the line of the template before the message
                found[f"{path.stem} as {name[:10]}: refusal"] = str(error).partition("): \n")[2]
                continue
            for place, text in rendered.items():
                if place.endswith("NOTES.txt"):
                    found[f"{path.stem} as {name[:10]}: NOTES"] = digest(text)
                    continue
                for document in filter(None, yaml.safe_load_all(text)):
                    key = f"{path.stem} as {name[:10]}: {document['kind']}/{document['metadata']['name']}"
                    found[key] = digest(json.dumps(document, sort_keys=True))
    return found


def messages(tree: Path) -> dict[str, str]:
    """Every line of docs/troubleshooting.md that quotes a message."""
    text = (tree / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    return {line: "there" for line in text.splitlines() if re.search(r"`[^`]+`", line)}


def main() -> None:
    """Print the snapshot."""
    tree = Path(sys.argv[1])
    p = planner()
    found, told = plans(p)
    values = {path.name: path.read_text() for path in sorted((tree / "values").glob("*.yaml"))}
    json.dump(
        {
            "values": values,
            "renders": renders(tree),
            "plans": found,
            "texts": told,
            "messages": messages(tree),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
