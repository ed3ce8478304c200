"""What a service has to bear: the length of its requests and how many of them run at once."""

from dataclasses import dataclass

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.search import context_of

# A chat with some context, a handful of users: assumptions, printed with every answer.
DEFAULT_CONTEXT = 8192
DEFAULT_CONCURRENCY = 8
DEFAULT_PROMPT = 1024
DEFAULT_ANSWER = 256


@dataclass(frozen=True, slots=True)
class Workload:
    """Tokens of a request and requests at once.

    Attributes:
        max_model_len: longest request that must be possible, prompt and answer, in tokens.
        concurrency: requests that run at once, each of `prompt_tokens` + `answer_tokens`.
        prompt_tokens, answer_tokens: of the usual request.
        assumed: names of the figures that nobody gave.
    """

    max_model_len: int
    concurrency: int
    prompt_tokens: int
    answer_tokens: int
    assumed: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of the usual request at its end."""
        return self.prompt_tokens + self.answer_tokens


def workload_for(
    spec: ModelSpec,
    *,
    max_model_len: int | None = None,
    concurrency: int | None = None,
    prompt_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> Workload:
    """The workload, with defaults that the model can bear.

    Raises:
        InputError: a figure that is not positive, a context above the model's, a request longer than the context.
    """
    given = {
        "max-model-len": max_model_len, "concurrency": concurrency, "prompt-tokens": prompt_tokens,
        "answer-tokens": answer_tokens,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None and value < 1:
            raise InputError(f"--{name} is {value}: a positive whole number is expected")
    limit = context_of(spec)
    if max_model_len is not None and max_model_len > limit:
        raise InputError(
            f"--max-model-len is {max_model_len}: above the {limit:,} tokens that {spec.model_id} was made for"
        )
    wanted = (prompt_tokens or DEFAULT_PROMPT) + (answer_tokens or DEFAULT_ANSWER)
    context = max_model_len or min(max(DEFAULT_CONTEXT, wanted), limit)
    answer = answer_tokens or max(1, min(DEFAULT_ANSWER, context // 5, context - (prompt_tokens or 0)))
    prompt = prompt_tokens or max(1, min(DEFAULT_PROMPT, context - answer))
    if prompt + answer > context:
        raise InputError(
            f"a request of {prompt} prompt and {answer} answer tokens is longer than the context of {context}",
            hint="raise --max-model-len, or lower --prompt-tokens or --answer-tokens",
        )
    assumed = tuple(name for name, value in given.items() if value is None)
    return Workload(context, concurrency or DEFAULT_CONCURRENCY, prompt, answer, assumed)
