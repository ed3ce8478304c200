"""The search for settings: from what a user would like most down to what the memory allows."""

from dataclasses import dataclass, field
from typing import Literal

from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import figures
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import kv_cache, terms
from llm_serving_planner.memory.settings import Estimate, Gpu, Settings
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.features.usage import NO_USE, Use
from llm_serving_planner.planner.layout import Layout
from llm_serving_planner.planner.options import Options

Verdict = Literal["fits", "tight"]

SHORTEST_USEFUL_CONTEXT = 2048  # below it the planner does not go by itself
COMFORTABLE_CONTEXT = 8192  # for less than that the planner gives up sequences and CUDA graphs, for more it does not
CONTEXT_STEP = 1024
FALLBACK_CONTEXT = 2048  # vLLM's own fallback where the config names no maximum
_SMALLEST_BATCH_TOKENS = 512
_SEQUENCES_IF_TIGHT = (64, 16)
_TOKENS_PER_SEQUENCE = 256  # more sequences than the cache can hold at this length are of no use


def context_of(spec: ModelSpec) -> int:
    """Longest context of the model in tokens."""
    return spec.max_position or FALLBACK_CONTEXT


@dataclass(frozen=True, slots=True)
class Search:
    """Finds the settings: whole context and usual batch first, then smaller batches, then a shorter context.

    `spec` is the fullest rank's share of the model (memory.stage_spec). Sequences and CUDA graphs are only given up for
    a context that the user pinned, or to reach COMFORTABLE_CONTEXT.
    """

    spec: ModelSpec
    gpu: Gpu
    regime: Regime
    options: Options
    layout: Layout
    kv_cache_dtype: str
    quantization: str | None
    use: Use = NO_USE
    _estimates: dict[Settings, Estimate] = field(default_factory=dict, init=False, compare=False)
    _shares: dict[tuple[int, int, bool], float] = field(default_factory=dict, init=False, compare=False)

    def run(self) -> tuple[Settings, Verdict, list[str], list[str]]:
        """(settings, verdict, reasons against, alternatives that were not taken)."""
        pinned = self.options.max_model_len is not None
        wanted = min(self.options.max_model_len or context_of(self.spec), context_of(self.spec))
        best: tuple[int, Settings] = (-1, self._settings(wanted, *self._usual()[0]))
        rejected: list[str] = []
        comfortable = min(wanted, COMFORTABLE_CONTEXT)
        for goal, batches in ((wanted, self._usual()), (wanted if pinned else comfortable, self._last_resort())):
            if not pinned and best[0] >= comfortable:
                break
            for batch in batches:
                settings = self._settings(goal, *batch)
                longest = self._longest(settings, goal)
                if longest == goal:
                    return self._fewer_sequences(settings), "fits", [], rejected
                best = max(best, (longest, settings), key=lambda pair: pair[0])
                rejected.append(
                    f"{batch[0]:,} batched tokens, {batch[1]} sequences{', eager' if batch[2] else ''}: "
                    f"room for {longest:,} tokens of context"
                )
        return self._shortened(wanted, *best, rejected)

    def estimate(self, settings: Settings) -> Estimate:
        """Memory with these settings; computed once for each that the search meets."""
        found = self._estimates.get(settings)
        if found is None:
            found = self._estimates[settings] = terms.estimate(self.spec, self.gpu, settings, self.regime)
        return found

    def _longest(self, settings: Settings, goal: int) -> int:
        estimate = self.estimate(settings)
        budget = estimate.kv_cache - estimate.margin
        if budget <= 0 or self._lacks_states(settings, budget):
            return 0
        return kv_cache.longest_context(self.spec, settings, budget, goal)

    def _lacks_states(self, settings: Settings, budget: int) -> bool:
        """Whether the engine would refuse the sequences that were asked for, since fewer states have a page."""
        pages = self._state_pages(settings, budget)
        return self.options.max_num_seqs is not None and pages is not None and settings.max_num_seqs > pages

    def _state_pages(self, settings: Settings, budget: int) -> int | None:
        """Most sequences for whose states the engine finds pages; None where it does not ask."""
        if settings.enforce_eager or not self.regime.cache.states_bound_sequences:
            return None
        return kv_cache.state_pages(self.spec, settings, budget)

    def _shortened(
        self, wanted: int, longest: int, settings: Settings, rejected: list[str]
    ) -> tuple[Settings, Verdict, list[str], list[str]]:
        if self.options.max_model_len is None and longest >= min(wanted, SHORTEST_USEFUL_CONTEXT):
            rounded = longest // CONTEXT_STEP * CONTEXT_STEP or longest
            shorter = self._settings(
                rounded, settings.max_num_batched_tokens, settings.max_num_seqs, settings.enforce_eager
            )
            return self._fewer_sequences(shorter), "fits", [], rejected
        target = wanted if self.options.max_model_len else min(wanted, SHORTEST_USEFUL_CONTEXT)
        pinned = self._settings(target, settings.max_num_batched_tokens, settings.max_num_seqs, settings.enforce_eager)
        estimate = self.estimate(pinned)
        pages = self._state_pages(pinned, estimate.kv_cache)
        if pages is not None and 0 < pages < pinned.max_num_seqs:
            return pinned, "tight", [self._too_few_pages(pinned, pages)], rejected
        if estimate.kv_per_request <= estimate.kv_cache + (estimate.margin if self.options.max_model_len else 0):
            return pinned, "tight", [], rejected
        return pinned, "tight", [self._misfit(estimate, target)], rejected

    def _too_few_pages(self, settings: Settings, pages: int) -> str:
        return (
            f"{settings.max_num_seqs:,} sequences need a page each for their recurrent state, the cache has {pages:,}: "
            f"--max-num-seqs {pages}, or --enforce-eager (the engine ends the start with CUDA graphs)"
        )

    def _misfit(self, estimate: Estimate, tokens: int) -> str:
        used = estimate.used
        if estimate.weights > estimate.requested:
            return (
                f"weights need {estimate.weights / GIB:.1f} GiB per GPU, {estimate.requested / GIB:.1f} GiB "
                f"are usable ({estimate.total / GIB:.2f} GiB x {estimate.requested / estimate.total:.2f})"
            )
        if estimate.kv_cache <= 0:
            return (
                f"weights and activations need {used / GIB:.1f} GiB per GPU, "
                f"{estimate.requested / GIB:.1f} GiB are usable: nothing is left for the KV cache"
            )
        return (
            f"one request of {tokens:,} tokens needs {estimate.kv_per_request / GIB:.2f} GiB of KV cache per "
            f"GPU, {estimate.kv_cache / GIB:.2f} GiB are left after {used / GIB:.1f} GiB for the rest"
        )

    def _usual(self) -> list[tuple[int, int, bool]]:
        """(batched tokens, sequences, eager): the engine's own batch, then fewer tokens per step."""
        told = self.gpu.total_bytes if self.gpu.reports_total else 0
        tokens, sequences = self.regime.batch(told, self.gpu.capability, self.gpu.name)
        tokens = self.options.max_num_batched_tokens or tokens
        sequences = self.options.max_num_seqs or sequences
        eager = self.options.enforce_eager or not self.regime.graphs
        batches = [(tokens, min(sequences, tokens), eager)]
        while (
            self.options.max_num_batched_tokens is None
            and not self.regime.whole_prompt
            and tokens > _SMALLEST_BATCH_TOKENS
        ):
            tokens //= 2
            batches.append((tokens, min(sequences, tokens), eager))
        return batches

    def _last_resort(self) -> list[tuple[int, int, bool]]:
        """What costs throughput: fewer sequences, then no CUDA graphs."""
        tokens, sequences, eager = self._usual()[-1]
        fewer = _SEQUENCES_IF_TIGHT if self.options.max_num_seqs is None else ()
        batches = [(tokens, few, eager) for few in fewer if few < sequences]
        if not eager:
            batches += [(tokens, count, True) for count in (sequences, *fewer) if count <= sequences]
        return batches

    def _settings(self, context: int, tokens: int, sequences: int, eager: bool) -> Settings:
        tokens = self._tokens(context, tokens)
        share = self._shares.get((tokens, sequences, eager))
        if share is None:  # what lies outside depends on the batch, not on the context
            probe = self._with_share(1.0, context, tokens, sequences, eager)
            share = self._shares[tokens, sequences, eager] = self._utilization(probe)
        return self._with_share(share, context, tokens, sequences, eager)

    def _with_share(self, share: float, context: int, tokens: int, sequences: int, eager: bool) -> Settings:
        pages, step = kv_cache.state_rules(
            self.spec, self.gpu, self.regime, prefixes=self.options.prefix_caching != "off"
        )
        element, scales = figures.cache_bytes(self.kv_cache_dtype)
        return Settings(
            self.layout.parallel,
            context,
            sequences,
            tokens,
            share,
            kv_element_bytes=element,
            kv_scale_bytes=scales,
            enforce_eager=eager,
            runtime_fp8=self.quantization == "fp8",
            pooling=self.use.pooling,
            encoders=self.use.encoders,
            without_items=self.use.without_items,
            lora=self.use.slots,
            draft=self.use.draft,
            batches_ahead=0 if self.use.pooling else self.regime.cache.batches_ahead,
            state_pages=pages,
            state_step=step,
        )

    def _tokens(self, context: int, tokens: int) -> int:
        """Tokens per step: attention both ways takes a prompt whole (vLLM: no chunked prefill for encoders)."""
        if self.regime.whole_prompt:
            return context
        if self.options.max_num_batched_tokens is None:
            tokens = max(tokens, self._item(context))
        return max(context, tokens) if not self.spec.layers and self.spec.recurrent is None else tokens

    def _item(self, context: int) -> int:
        """Tokens of the largest item where attention both ways takes it whole, so that a step must hold it; else 0."""
        encoder = self.spec.encoder
        if encoder is None or not (encoder.two_way and self.use.encoders):
            return 0
        return encoder.largest_item(context, self.use.without_items)

    def _utilization(self, probe: Settings) -> float:
        """The engine's default, lowered so that what lies outside u * M has room; two decimals."""
        if self.options.gpu_memory_utilization is not None:
            return self.options.gpu_memory_utilization
        outside = terms.outside_bytes(self.spec, self.gpu, probe, self.regime)
        room = int(100 * (self.gpu.total_bytes - outside) / self.gpu.total_bytes) / 100
        return max(min(self.regime.default_utilization, room), 0.1)

    def _fewer_sequences(self, settings: Settings) -> Settings:
        """Not more sequences than the cache holds at 256 tokens each, as a power of two, at least 8."""
        if self.options.max_num_seqs is not None:
            return settings
        estimate = self.estimate(settings)
        one = kv_cache.kv_request_bytes(self.spec, settings, _TOKENS_PER_SEQUENCE)
        if not one:
            return settings
        useful = max(8, estimate.kv_cache // one)
        sequences = settings.max_num_seqs
        pages = self._state_pages(settings, estimate.kv_cache - estimate.margin)
        while sequences // 2 >= useful or (pages is not None and sequences > max(pages, 1)):
            sequences //= 2
        if sequences == settings.max_num_seqs:
            return settings
        return self._settings(
            settings.max_model_len, settings.max_num_batched_tokens, sequences, settings.enforce_eager
        )
