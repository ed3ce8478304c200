"""The engine's scheduler, simulated: continuous batching with chunked prompts, as vLLM's V1 scheduler does it.

In every step each running request gets a token, what is left of the step's tokens goes to prompts in the order in which
they came, and a request is admitted while there are seats (max-num-seqs) and cache. Where the cache runs out the
youngest request gives its place up and computes its tokens again. (vllm/v1/core/sched/scheduler.py, read 2026-11-29.)

Between two events (an answer ends, a request comes) with no prompt waiting all steps are alike but for the cache that
they read, so that they are taken together: the cost grows with the requests, not with the tokens. Deterministic: the
same workload and seed give the same figures.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llm_serving_planner.speed.steps import Steps

_SEED = 20261129
_ENDLESS = 1e15  # tokens of a cache that never fills
_WARM = 0.15  # share of the requests that come first and are not counted: the engine fills up


@dataclass(frozen=True, slots=True)
class Requests:
    """What comes: pairs of (prompt tokens, answer tokens), in order.

    Attributes:
        lengths: of each request.
        concurrency: requests in flight; the next one comes when one ends. None: by `rate`.
        rate: requests per second, at random moments (Poisson), every `replicas`-th of which comes here.
        replicas: engines behind a round robin.
        shared: share of a prompt that is in the cache already.
    """

    lengths: Sequence[tuple[int, int]]
    concurrency: int | None = None
    rate: float | None = None
    replicas: int = 1
    shared: float = 0.0


@dataclass(slots=True)
class _Request:
    came: float
    prompt: int  # tokens to compute
    answer: int
    cached: int
    done: int = 0  # of the prompt
    made: int = 0  # of the answer
    first: float = -1.0
    entered: int = 0  # count of steps at which its answer began


@dataclass(slots=True)
class Result:
    """Times of the requests that were counted, in seconds.

    Attributes:
        first: to the first token, of each.
        whole: to the last one.
        each: mean time per further token, of each request.
        gaps: (seconds, how many) between tokens.
        seconds: from the first to the last that was counted.
        tokens: answer tokens in that time.
        preempted: requests that gave their place up.
        stalled: the cache does not hold a single request.
    """

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    gaps: list[tuple[float, int]] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0
    preempted: int = 0
    stalled: bool = False

    @property
    def tokens_per_second(self) -> float:
        """Answer tokens per second of the engine."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def requests_per_second(self) -> float:
        """Requests that end per second."""
        return len(self.first) / self.seconds if self.seconds else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """Smallest value that `share` percent of the values do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def percentile_of_counts(pairs: Sequence[tuple[float, int]], share: float) -> float:
    """The same of (value, how many)."""
    total = sum(count for _, count in pairs)
    if not total:
        return math.nan
    left = share / 100 * total
    for value, count in sorted(pairs):
        left -= count
        if left <= 1e-9:
            return value
    return max(value for value, _ in pairs)


def draw(mean: float, spread: float, generator: random.Random) -> int:
    """A length in tokens: log-normal with that mean and coefficient of variation; the mean itself without spread."""
    if spread <= 0:
        return max(1, round(mean))
    variance = math.log(1 + spread * spread)
    return max(1, round(generator.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))))


def lengths(
    count: int, prompt: tuple[float, float], answer: tuple[float, float], longest: int
) -> list[tuple[int, int]]:
    """Lengths of `count` requests from (mean, spread) of prompt and answer; together at most `longest` tokens."""
    generator = random.Random(_SEED)  # noqa: S311 - the same lengths every time
    found = []
    for _ in range(count):
        tokens, answered = draw(*prompt, generator), draw(*answer, generator)
        tokens = min(tokens, max(1, longest - 1))
        found.append((tokens, max(1, min(answered, longest - tokens))))
    return found


class _Engine:
    """State of one simulation."""

    def __init__(
        self, steps: Steps, requests: Requests, *, budget: int, seats: int, cache: float, reading: float
    ) -> None:
        self.reading = reading
        self.steps, self.budget, self.seats, self.cache = steps, budget, seats, min(cache, _ENDLESS)
        self.requests = requests
        self.now = 0.0
        self.count = 0  # steps so far
        self.held = 0  # tokens in the cache
        self.answering: list[tuple[int, int, _Request]] = []  # heap: (step at which it ends, number, request)
        self.filling: list[_Request] = []  # admitted, prompt not through
        self.waiting: deque[_Request] = deque()
        self.ended: list[tuple[_Request, float]] = []
        self.gaps: list[tuple[float, float, int]] = []  # (when, seconds, how many)
        self.preempted = 0
        self._number = 0
        self._coming = self._arrivals()
        self._next = next(self._coming, None)
        self._closed = requests.concurrency is not None
        self._door = 0.0  # until when the API server reads requests that came before
        self._reading: deque[tuple[float, _Request]] = deque()

    def _arrivals(self) -> Iterator[_Request]:
        generator, moment = random.Random(_SEED + 1), 0.0  # noqa: S311 - as above
        for prompt, answer in self.requests.lengths:
            if self.requests.rate is not None:
                for _ in range(self.requests.replicas):
                    moment += generator.expovariate(self.requests.rate)
            cached = min(prompt - 1, int(prompt * self.requests.shared))
            yield _Request(moment, prompt - cached, answer, cached)

    def _take_arrivals(self) -> None:
        running = len(self.answering) + len(self.filling) + len(self.waiting) + len(self._reading)
        while self._next is not None:
            if self._closed:
                if running >= (self.requests.concurrency or 1):
                    break
                self._next.came = self.now
                running += 1
            elif self._next.came > self.now:
                break
            self._door = max(self._door, self._next.came) + self.reading
            self._reading.append((self._door, self._next))
            self._next = next(self._coming, None)
        while self._reading and self._reading[0][0] <= self.now:
            self.waiting.append(self._reading.popleft()[1])

    def _moment(self) -> float | None:
        """When the next request comes to the scheduler."""
        if self._reading:
            return self._reading[0][0]
        return None if self._closed or self._next is None else self._next.came

    def run(self) -> bool:
        """To the end; False where a request cannot be served at all."""
        while True:
            self._take_arrivals()
            if not (self.answering or self.filling or self.waiting):
                moment = self._moment()
                if moment is None:
                    return True
                self.now = max(self.now, moment)
                continue
            if not self._step():
                return False

    def _step(self) -> bool:
        self._make_room()
        left = self.budget * self.steps.stages - len(self.answering)
        parts = self._prompts(left)
        decoding = len(self.answering)
        if not parts and not decoding:
            return False
        if not parts:
            self._answers_alone()
            return True
        computed = sum(tokens for _, tokens in parts)
        before = sum(tokens * (request.cached + request.done) for request, tokens in parts) / computed
        seconds = self.steps.seconds(decoding, self._context(), computed, before)
        self.now += seconds
        self.count += 1
        self.held += computed + decoding
        if decoding:
            self.gaps.append((self.now, seconds, decoding))
        self._end_answers()
        for request, tokens in parts:
            request.done += tokens
            if request.done >= request.prompt:
                self._begin_answer(request)
        self.filling = [request for request in self.filling if request.done < request.prompt]
        return True

    def _context(self) -> float:
        """Tokens that answering requests hold."""
        return float(max(0, self.held - sum(request.done for request in self.filling)))

    def _prompts(self, left: int) -> list[tuple[_Request, int]]:
        """Tokens of prompts for this step; admits waiting requests while seats and cache last."""
        parts = []
        for request in self.filling:
            tokens = min(left, request.prompt - request.done)
            if tokens > 0:
                parts.append((request, tokens))
                left -= tokens
        while self.waiting and left > 0 and len(self.answering) + len(self.filling) < self.seats:
            request = self.waiting[0]
            owed = sum(other.prompt - other.done for other in self.filling)
            if self.held + owed + request.prompt + 1 > self.cache:
                break
            self.waiting.popleft()
            self.filling.append(request)
            tokens = min(left, request.prompt)
            parts.append((request, tokens))
            left -= tokens
        return parts

    def _begin_answer(self, request: _Request) -> None:
        if request.first < 0:
            request.first = self.now
            request.made = 1
        request.entered = self.count - request.made
        self._number += 1
        if request.made >= request.answer:
            self._leave(request)
            return
        heapq.heappush(self.answering, (self.count + request.answer - request.made, self._number, request))

    def _answers_alone(self) -> None:
        """All steps until an answer ends, the next request comes, or the cache is full."""
        decoding = len(self.answering)
        count = self.answering[0][0] - self.count
        room = int((self.cache - self.held) // decoding)
        count = max(1, min(count, room if room > 0 else 1))
        start = self.steps.seconds(decoding, self._context())
        moment = self._moment()
        if moment is not None and len(self.answering) < self.seats:
            count = max(1, min(count, math.ceil((moment - self.now) / start)))
        end = self.steps.seconds(decoding, self._context() + decoding * (count - 1)) if count > 1 else start
        mean = (start + end) / 2
        self.now += count * mean
        self.count += count
        self.held += count * decoding
        self.gaps.append((self.now, mean, count * decoding))
        self._end_answers()

    def _end_answers(self) -> None:
        while self.answering and self.answering[0][0] <= self.count:
            _, _, request = heapq.heappop(self.answering)
            request.made = request.answer
            self._leave(request)

    def _leave(self, request: _Request) -> None:
        self.held -= request.prompt + max(0, request.answer - 1)
        self.ended.append((request, self.now))

    def _make_room(self) -> None:
        """The youngest give their place up where the next token of each does not fit the cache."""
        while len(self.answering) > 1 and self.held + len(self.answering) > self.cache:
            place = max(range(len(self.answering)), key=lambda index: self.answering[index][1])
            end, _, request = self.answering[place]
            self.answering[place] = self.answering[-1]
            self.answering.pop()
            heapq.heapify(self.answering)
            made = request.answer - (end - self.count)
            self.held -= request.prompt + max(0, made - 1)
            request.made, request.done = made, 0
            self.waiting.appendleft(request)
            self.preempted += 1


def simulate(
    steps: Steps, requests: Requests, *, budget: int, seats: int, cache: float, beside: float, reading: float = 0.0
) -> Result:
    """Serve the requests with one engine.

    Args:
        steps: times of its steps.
        requests: what comes.
        budget: tokens of a step (max-num-batched-tokens).
        seats: requests at once (max-num-seqs).
        cache: tokens that the cache holds.
        beside: seconds that a request takes outside of the steps.
        reading: seconds of the API server for each request, one after the other.
    """
    engine = _Engine(steps, requests, budget=budget, seats=seats, cache=cache, reading=reading)
    if not engine.run():
        return Result(stalled=True)
    skipped = int(_WARM * len(requests.lengths)) if requests.rate is not None else 0
    ordered = sorted(engine.ended, key=lambda pair: pair[0].came)
    counted = ordered[skipped:]
    began = counted[0][0].came if skipped else 0.0
    ended = max(end for _, end in counted)
    found = Result(preempted=engine.preempted, seconds=ended - began)
    for request, end in counted:
        found.first.append(request.first - request.came + beside)
        found.whole.append(end - request.came + beside)
        if request.answer > 1:
            found.each.append((end - request.first) / (request.answer - 1))
        found.tokens += request.answer
    found.gaps = [(seconds, count) for when, seconds, count in engine.gaps if when >= began]
    return found
