"""Splits a model over pipeline stages and finds the fullest one."""

from llm_serving_planner.base.records import replace
from llm_serving_planner.models.spec import ModelSpec


def stage_layers(num_layers: int, stages: int) -> list[int]:
    """Layers of each pipeline stage (vLLM 0.33.0 vllm/distributed/utils.py:get_pp_indices).

    What does not divide goes to the stages before the last, from the last but one upwards.
    """
    layers = [num_layers // stages] * stages
    for extra in range(num_layers % stages):
        layers[-2 - extra] += 1
    return layers


def stage_spec(spec: ModelSpec, stages: int) -> ModelSpec:
    """The fullest pipeline stage as a model of its own: most layers, most weights. The model itself for one stage.

    The first stage holds the embedding, the last one the head (or, tied, a second copy of the embedding). Layers of
    one stage are taken to be a fair share of every kind, rounded up.
    """
    if stages == 1:
        return spec
    layers = stage_layers(spec.num_layers, stages)
    most = max(layers)
    embedding = spec.vocab_size * spec.hidden_size * 2
    vision = spec.weights.encoder_bytes  # whole on the first stage
    body = max(spec.weights.loaded_bytes - vision - embedding * (1 if spec.tied else 2), 0)
    ends = [embedding if index in {0, stages - 1} else 0 for index in range(stages)]
    ends[0] += vision
    loaded = max(body * count // spec.num_layers + end for count, end in zip(layers, ends, strict=True))

    def share(count: int) -> int:
        return min(-(-count * most // spec.num_layers), most)

    return replace(
        spec,
        num_layers=most,
        layers=tuple(replace(group, count=share(group.count)) for group in spec.layers),
        weights=replace(spec.weights, loaded_bytes=loaded),
        tied=True,  # one matrix of the vocabulary, whichever end it is
        moe=replace(spec.moe, layers=share(spec.moe.layers)) if spec.moe else None,
        recurrent=replace(
            spec.recurrent,
            count=share(spec.recurrent.count),
            state_bytes=-(-spec.recurrent.state_bytes * share(spec.recurrent.count) // spec.recurrent.count),
            group_parameters=spec.recurrent.group_parameters * share(spec.recurrent.count) // spec.recurrent.count,
        )
        if spec.recurrent
        else None,
    )
