"""Time of one step of an engine, for any mixture of prompts and answers: the roofline's formulas with sums kept apart.

What depends on the plan alone is computed once, so that a simulation asks for thousands of steps. Seconds and tokens
throughout.
"""

from functools import cached_property

from llm_serving_planner.memory import kv_cache, pipeline
from llm_serving_planner.speed import roofline
from llm_serving_planner.speed.roofline import Engine


class Steps:
    """Steps of one engine, or of one of its data parallel engines."""

    def __init__(self, engine: Engine) -> None:
        settings, spec, gpu = engine.settings, engine.spec, engine.profile.gpu
        self.engine = engine
        self.stages = settings.parallel.pipeline_parallel_size
        self._stage = stage = pipeline.stage_spec(spec, self.stages)
        known = engine.constants
        self._rate = (gpu.bandwidth_gb_s or 0) * 1e9 * known.bandwidth_share
        ranks = settings.parallel.tensor_parallel_size
        self._compute = ranks * roofline.flops(engine) * roofline.compute_share(engine)
        self._per_token = 2 * roofline.active_parameters(stage)
        self._overhead = known.base / self.stages + stage.num_layers * known.layer
        self._eager = settings.enforce_eager
        self._layers = stage.num_layers
        # Cache: bytes per token and request of layers that see everything, and (bytes, window) of the others.
        self._windows = []
        self._full = 0.0
        self._attention_full, self._attention_windows = 0.0, []
        width = 4.0 * spec.num_attention_heads * spec.head_dim
        for group in stage.layers:
            page, block = kv_cache.page_bytes(group, settings)
            if group.window is None:
                self._full += page / block
                self._attention_full += group.count * width
            else:
                self._windows.append((page / block, group.window))
                self._attention_windows.append((group.count * width, group.window))
        self._state = 2 * stage.recurrent.state_bytes / ranks if stage.recurrent is not None else 0.0
        self._weights: dict[int, float] = {}

    @cached_property
    def known(self) -> bool:
        """Whether the data hold the GPU's bandwidth and rate."""
        return self._rate > 0 and self._compute > 0

    def seconds(self, decoding: int, held: float, prompt: int = 0, position: float = 0.0) -> float:
        """One step.

        Args:
            decoding: requests that get one more token.
            held: tokens that those hold, all together.
            prompt: tokens of prompts that are computed in the step.
            position: tokens before those, on the mean.
        """
        share = 1 / self.stages
        tokens = decoding + prompt
        moved = self._weights_read(max(1, round(tokens * share))) + share * self._cache_read(decoding, held, position)
        work = max(moved / self._rate, share * self._operations(decoding, held, prompt, position) / self._compute)
        one = max(work, self._overhead) if self._eager else work + self._overhead
        one += 2 * self._layers * roofline.all_reduce_seconds(self.engine, max(1, round(tokens * share)))
        if self.stages == 1:
            return one
        return self.stages * one + (self.stages - 1) * roofline.hop_seconds(self.engine, round(tokens * share))

    def _weights_read(self, tokens: int) -> float:
        if self._stage.moe is None:
            tokens = 1
        found = self._weights.get(tokens)
        if found is None:
            found = roofline.weights_read(self._stage, self.engine.settings, tokens)
            self._weights[tokens] = found
        return found

    def _cache_read(self, decoding: int, held: float, position: float) -> float:
        total = self._full * (held + position)
        if decoding:
            mean = held / decoding
            total += decoding * sum(size * min(mean, window) for size, window in self._windows)
        return total + self._state * decoding

    def _operations(self, decoding: int, held: float, prompt: int, position: float) -> float:
        seen = prompt * (position + prompt / 2) + held
        total = self._per_token * (decoding + prompt) + self._attention_full * seen
        for width, window in self._attention_windows:
            total += width * prompt * min(position + prompt / 2, window)
        return total
