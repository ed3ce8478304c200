"""The search for settings: from what a user would like most down to what the memory allows."""

from typing import Literal

from llm_serving_planner.base.records import field, record
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import figures
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import kv_cache, terms
from llm_serving_planner.memory.settings import Estimate, Gpu, Settings
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.features.usage import NO_USE, Use
from llm_serving_planner.planner.layout import Layout
from llm_serving_planner.planner.options import Options

# "fits" keeps the margin of the estimate free. "tight" holds one request, without the margin. "doubtful" holds less
# than one, by less than the margin. The last two are for a pinned context alone.
Verdict = Literal["fits", "tight", "doubtful"]
IN_WORDS = {"fits": "fits", "tight": "tight", "doubtful": "predicted not to start, inside the error band"}

SHORTEST_USEFUL_CONTEXT = 2048  # below it the planner does not go by itself
COMFORTABLE_CONTEXT = 8192  # for less than that the planner gives up sequences, for more it does not
CONTEXT_STEP = 1024
# A context above this is only written by itself where the cache holds several such requests: one request of a million
# tokens would keep everybody else waiting. Both figures are assumptions.
LONG_CONTEXT = 262_144
LONG_REQUESTS = 4
FALLBACK_CONTEXT = 2048  # vLLM's own fallback where the config names no maximum
_SMALLEST_BATCH_TOKENS = 512
_SEQUENCES_IF_TIGHT = (64, 16)
_TOKENS_PER_SEQUENCE = 256  # more sequences than the cache can hold at this length are of no use


def context_of(spec: ModelSpec) -> int:
    """Longest context of the model in tokens."""
    return spec.max_position or FALLBACK_CONTEXT


def _shorter(tried: list[tuple[int, str, bool]], context: int) -> list[str]:
    """The best of what was tried with CUDA graphs and without, where it leaves less room than the context taken."""
    found = []
    for eager in (False, True):
        losers = [(longest, what) for longest, what, without in tried if without == eager and longest < context]
        if losers:
            longest, what = max(losers, key=lambda pair: pair[0])
            found.append(f"{what}{', eager' if eager else ''}: room for {longest:,} tokens of context")
    return found


@record
class Search:
    """Finds the settings: the engine's own step, with the longest context that it leaves room for.

    `spec` is the fullest rank's share of the model (memory.stage_spec). A context that the user pinned takes whatever
    it needs: smaller steps, fewer sequences, no CUDA graphs, in this order. Without a pin the context is shortened
    first: sequences are given up to reach COMFORTABLE_CONTEXT, the step and CUDA graphs only for
    SHORTEST_USEFUL_CONTEXT, and for no more than that.
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
        limit = context_of(self.spec)
        if self.options.max_model_len is not None:
            goals = [(min(self.options.max_model_len, limit), [*self._usual(), *self._last_resort()])]
        else:
            goals = [
                (limit, self._usual()[:1]),
                (min(limit, COMFORTABLE_CONTEXT), self._fewer()),
                (min(limit, SHORTEST_USEFUL_CONTEXT), [*self._fewer(), *self._usual()[1:], *self._last_resort()]),
            ]
        best: tuple[int, Settings] = (-1, self._settings(goals[0][0], *self._usual()[0]))
        tried: list[tuple[int, str, bool]] = []
        if self.options.max_model_len is None and (moderate := self._moderate(best[1], limit)):
            return self._fewer_sequences(moderate), "fits", [], []
        for goal, batches in goals:
            if best[0] >= goal:
                break
            for batch in batches:
                settings = self._settings(goal, *batch)
                longest = self._longest(settings, goal)
                if longest == goal:
                    return self._fewer_sequences(settings), "fits", [], _shorter(tried, goal)
                best = max(best, (longest, settings), key=lambda pair: pair[0])
                tried.append((longest, f"{batch[0]:,} batched tokens, {batch[1]} sequences", batch[2]))
        return self._shortened(goals[0][0], *best, tried)

    def _moderate(self, usual: Settings, limit: int) -> Settings | None:
        """LONG_CONTEXT, or as much more as the cache holds LONG_REQUESTS times.

        None where it holds the limit so often, or where not even one request of LONG_CONTEXT fits.
        """
        longest = self._longest(usual, limit) if limit > LONG_CONTEXT else 0
        if longest <= LONG_CONTEXT:
            return None
        estimate = self.estimate(usual)
        each = (estimate.kv_cache - estimate.margin) // LONG_REQUESTS
        several = kv_cache.longest_context(self.spec, usual, each, limit)
        if several == limit:
            return None
        tokens = max(LONG_CONTEXT, several // CONTEXT_STEP * CONTEXT_STEP)
        return self._settings(tokens, usual.max_num_batched_tokens, usual.max_num_seqs, usual.enforce_eager)

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
        self, wanted: int, longest: int, settings: Settings, tried: list[tuple[int, str, bool]]
    ) -> tuple[Settings, Verdict, list[str], list[str]]:
        batch = (settings.max_num_batched_tokens, settings.max_num_seqs, settings.enforce_eager)
        if self.options.max_model_len is None and longest >= min(wanted, SHORTEST_USEFUL_CONTEXT):
            rounded = longest // CONTEXT_STEP * CONTEXT_STEP or longest
            return self._fewer_sequences(self._settings(rounded, *batch)), "fits", [], _shorter(tried, rounded)
        if self.options.max_model_len is None:  # by itself the planner keeps the margin free
            target = min(wanted, SHORTEST_USEFUL_CONTEXT)
            shortest = self._settings(target, *batch)
            return shortest, "fits", [self._misfit(self.estimate(shortest), target)], []
        pinned = self._settings(wanted, *batch)
        estimate = self.estimate(pinned)
        pages = self._state_pages(pinned, estimate.kv_cache)
        if pages is not None and 0 < pages < pinned.max_num_seqs:
            return pinned, "tight", [self._too_few_pages(pinned, pages)], []
        if estimate.kv_per_request <= estimate.kv_cache:
            return pinned, "tight", [], _shorter(tried, wanted)
        inside = estimate.kv_per_request <= estimate.kv_cache + estimate.margin
        return pinned, "doubtful", [] if inside else [self._misfit(estimate, wanted)], _shorter(tried, wanted)

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
        kept = ""
        if estimate.kv_per_request <= estimate.kv_cache:
            kept = f", of which {estimate.margin / GIB:.2f} GiB are the margin of the estimate"
        return (
            f"one request of {tokens:,} tokens needs {estimate.kv_per_request / GIB:.2f} GiB of KV cache per "
            f"GPU, {estimate.kv_cache / GIB:.2f} GiB are left after {used / GIB:.1f} GiB for the rest{kept}"
        )

    def usual_settings(self) -> Settings:
        """The engine's own batch with the model's whole context, whether or not it fits."""
        return self._settings(context_of(self.spec), *self._usual()[0])

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

    def _fewer(self) -> list[tuple[int, int, bool]]:
        """The usual step with fewer sequences, which costs little where the cache could not hold so many."""
        tokens, sequences, eager = self._usual()[0]
        fewer = _SEQUENCES_IF_TIGHT if self.options.max_num_seqs is None else ()
        return [(tokens, few, eager) for few in fewer if few < sequences]

    def _last_resort(self) -> list[tuple[int, int, bool]]:
        """What costs throughput: fewer sequences, then no CUDA graphs; of each the largest step first."""
        usual = self._usual()
        fewer = _SEQUENCES_IF_TIGHT if self.options.max_num_seqs is None else ()
        batches = [(tokens, few, eager) for few in fewer for tokens, sequences, eager in usual if few < sequences]
        if not usual[0][2]:
            batches += [(tokens, sequences, True) for tokens, sequences, _ in usual]
            batches += [(tokens, few, True) for few in fewer for tokens, sequences, _ in usual if few < sequences]
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
