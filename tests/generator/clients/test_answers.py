"""What clients make of pieces and times: figures, transcripts; no server takes part."""

from llm_serving_planner.clients.answer import Answer, Message, Piece, transcript

# --- figures


def test_figures_come_from_the_times_of_pieces() -> None:
    times = iter([10.0, 10.5, 10.6, 10.8, 11.0, 11.1])
    answer = Answer(model="m", clock=lambda: next(times))
    for text in ("a", "b", "c", "d"):
        answer.take(Piece(text))
    answer.take(Piece(finish_reason="length", usage={"completion_tokens": 6}))
    assert (
        answer.line() == "first token 500 ms, between tokens 200.0 ms (median), 8.3 tokens/s, 6 tokens, finish: length"
    )
    assert answer.to_dict() == {
        "model": "m", "text": "abcd", "reasoning": None, "finish_reason": "length", "tokens": 6, "ttft_seconds": 0.5,
        "inter_token_seconds": 0.2, "tokens_per_second": 8.333333, "total_seconds": 1.1,
        "usage": {"completion_tokens": 6},
    }  # fmt: skip


def test_a_last_token_without_text_counts_in_the_rate() -> None:
    times = iter([0.0, 1.0, 2.0, 9.0])
    answer = Answer(clock=lambda: next(times))
    for piece in (Piece("a"), Piece(finish_reason="length"), Piece(usage={"completion_tokens": 3})):
        answer.take(piece)
    assert (answer.ttft_seconds, answer.tokens_per_second) == (1.0, 2.0)


def test_an_answer_that_comes_as_a_whole_is_rated_over_its_whole_time() -> None:
    times = iter([0.0, 2.0])
    answer = Answer(clock=lambda: next(times))
    answer.take(Piece("a b c d", finish_reason="stop", usage={"completion_tokens": 4}))
    assert (answer.ttft_seconds, answer.inter_token_seconds, answer.tokens_per_second) == (2.0, None, 2.0)


def test_an_empty_answer_has_no_figures() -> None:
    assert Answer().line() == "0 tokens, finish: not said"


def test_a_conversation_without_template_is_a_transcript() -> None:
    assert transcript([Message("user", "2+2=")]) == "2+2="
    turns = [Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Yo"), Message("user", "?")]
    assert transcript(turns) == "Be brief.\nUser: Hi\nAssistant: Yo\nUser: ?\nAssistant:"
