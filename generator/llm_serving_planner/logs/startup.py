"""What one start-up of an engine says about itself; GiB and seconds, None where the log is silent."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Rank:
    """Memory of one worker process, and how long its phases took."""

    name: str
    total: float | None = None
    free: float | None = None
    utilization: float | None = None
    requested: float | None = None
    weights: float | None = None
    activations: float | None = None
    non_torch: float | None = None
    consumed: float | None = None  # weights and non-torch in one number: newer versions print only that
    non_cache: float | None = None  # weights, activations and non-torch in one number
    graphs: float | None = None
    graphs_estimated: float | None = None
    kv_cache: float | None = None
    blocks: int | None = None
    load_seconds: float | None = None
    compile_seconds: float | None = None
    graph_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the engine did not start, in its own words and in ours.

    Attributes:
        kind: short name, one of `failures.KINDS`.
        line: the engine's line, without its prefix.
        numbers: what the line says, by name (GiB, tokens).
    """

    kind: str
    line: str
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Startup:
    """One start-up: its ranks by name, what holds for the whole engine, and the failures in their order."""

    engine: str = ""
    version: str = ""
    ranks: dict[str, Rank] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    kv_tokens: int | None = None
    concurrency: float | None = None
    concurrency_tokens: int | None = None
    init_seconds: float | None = None
    ready: bool = False
    first_stamp: float | None = None
    ready_stamp: float | None = None
    failures: list[Failure] = field(default_factory=list)
    lines: int = 0

    def complete(self) -> None:
        """Work out the cache of ranks that print all but it: newer versions print it for the first one only."""
        charged = "graphs_charged" in self.settings
        for rank in self.ranks.values():
            if rank.kv_cache is None and rank.requested is not None and rank.non_cache is not None:
                rank.kv_cache = rank.requested - rank.non_cache
                rank.kv_cache -= (rank.graphs_estimated or 0.0) if charged else 0.0

    def rank(self, name: str) -> Rank:
        """The rank of that name, made when it is new."""
        return self.ranks.setdefault(name, Rank(name))

    @property
    def fullest(self) -> Rank | None:
        """The rank with the smallest KV cache: the engine gives all of them as many blocks as this one has."""
        measured = [rank for rank in self.ranks.values() if rank.kv_cache is not None]
        return min(measured, key=lambda rank: rank.kv_cache or 0.0) if measured else None

    def largest(self, term: str) -> float | None:
        """A term of the fullest rank, else the largest among the ranks that print it."""
        fullest = self.fullest
        if fullest is not None and getattr(fullest, term) is not None:
            return float(getattr(fullest, term))
        found = [float(value) for rank in self.ranks.values() if (value := getattr(rank, term)) is not None]
        return max(found) if found else None

    def slowest(self, phase: str) -> float | None:
        """Seconds of a phase: the other ranks wait for the last."""
        found = [float(value) for rank in self.ranks.values() if (value := getattr(rank, phase)) is not None]
        return max(found) if found else None

    @property
    def total_seconds(self) -> float | None:
        """From the first dated line to the server being ready."""
        if self.first_stamp is None or self.ready_stamp is None or self.ready_stamp < self.first_stamp:
            return None
        return self.ready_stamp - self.first_stamp

    @property
    def workers(self) -> int:
        """Ranks that say something of their memory."""
        return sum(rank.weights is not None or rank.kv_cache is not None for rank in self.ranks.values())
