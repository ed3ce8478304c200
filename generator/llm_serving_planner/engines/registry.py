"""The engines by name: the one place that knows which there are."""

from llm_serving_planner.engines.base import Engine
from llm_serving_planner.engines.tgi import Tgi
from llm_serving_planner.engines.tgis import Tgis
from llm_serving_planner.engines.vllm import Vllm

DEFAULT = Vllm.name
_ENGINES: dict[str, Engine] = {}


def register(engine: Engine) -> None:
    """Make an engine known under its name, in place of one that has it."""
    _ENGINES[engine.name] = engine


for _engine in (Vllm(), Tgi(), Tgis()):
    register(_engine)


def engine_of(name: str) -> Engine:
    """The engine of that name.

    Raises:
        KeyError: there is none; options and values documents are checked before they are asked about.
    """
    return _ENGINES[name]


def label_of(name: str) -> str:
    """The name as people write it; empty for an engine that is not known."""
    return _ENGINES[name].label if name in _ENGINES else ""


def names() -> tuple[str, ...]:
    """Values of --engine, the default first."""
    return tuple(_ENGINES)
