"""JSON that ends in the middle: half a text is read where the server says that it cut the reply off, nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dspex_core as dspy
from dspex_core.errors import AdapterParseError, TruncatedReplyError
from dspex_core.messages import LMOutput


def asked(signature, text, reason="length"):
    """The outputs of a program whose reply ended so."""
    lm = dspy.ScriptedLM([LMOutput(text, finish_reason=reason)])
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        return dspy.Predict(signature)(question="?").toDict()


@given(st.text(min_size=1, max_size=12), st.data())
def test_a_text_is_read_up_to_where_it_was_cut_off(answer, data):
    whole = json.dumps({"reasoning": "r", "answer": answer})
    begun = len('{"reasoning": "r", "answer": "')
    cut = data.draw(st.integers(begun + 1, len(whole) - 2))
    try:
        found = asked("question -> reasoning, answer", whole[:cut])
    except TruncatedReplyError:
        assert len(whole[:cut]) - begun < len("\\ud83d\\ude00")  # less than one letter
    else:
        half = found["answer"].encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
        assert answer.startswith(half)
        assert found["reasoning"] == "r"


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("question -> answer: list[str]", '{"answer": ["a", "b'),
        ("question -> answer: dict[str, str]", '{"answer": {"a": "b'),
        ("question -> answer: int", '{"answer": "12'),
        ("question -> reasoning, answer", '{"reasoning": "because'),
        ("question -> answer", '{"answer": "'),
        ("question -> answer", '{"answ'),
        ("question -> answer", '{"other": "x'),
        ("question -> answer: Literal['in', 'inside']", '{"answer": "in'),
    ],
)
def test_half_of_anything_else_is_not_an_answer(signature, text):
    with pytest.raises(TruncatedReplyError, match="cut off"):
        asked(signature, text)


def test_a_text_that_breaks_off_by_itself_is_not_an_answer():
    with pytest.raises(AdapterParseError):
        asked("question -> answer", '{"answer": "The contract ends on', reason="stop")
