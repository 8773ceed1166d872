from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core import load_dataset
from pytest_dspex.strategies import irrelevant, reproducible, white_space

ROWS = load_dataset(Path(__file__).parent / "data" / "rows.jsonl", inputs=["review"])
MOODS = {"positive", "negative"}


def with_typos(text):
    """Swap two letters in the middle of each longer word."""
    return " ".join(f"{word[0]}{word[2]}{word[1]}{word[3:]}" if len(word) > 5 else word for word in text.split())


# Laws: one input that breaks them is a failure, and Hypothesis reduces it to a small one.
@reproducible(max_examples=12)
@given(row=st.sampled_from(ROWS), change=white_space("review") | irrelevant(fields=("review",)))
def test_the_mood_does_not_depend_on_spaces_or_on_the_weather(mood, row, change):
    assert mood(**change(row)).mood == mood(**row.inputs()).mood


@reproducible(max_examples=8)
@given(noise=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=12))
def test_any_text_has_one_of_the_moods(mood, noise):
    assert mood(review=noise).mood in MOODS


# Relations that hold for most inputs: their shares are gated, and a case that breaks one does not fail.
@pytest.mark.dspex_data("data/rows.jsonl", inputs=["review"])
@pytest.mark.dspex_gate("same_with_typos", min=0.7)
@pytest.mark.dspex_gate("same_in_capitals", min=0.7)
@pytest.mark.dspex_gate("same_in_other_words", min=0.7)
def test_most_answers_survive_a_change(example, prediction, mood, score):
    changed = {
        "typos": with_typos(example.review),
        "capitals": example.review.upper(),
        "other_words": example.in_other_words,
    }
    for name, review in changed.items():
        preposition = "with" if name == "typos" else "in"
        answer = mood(review=review).mood
        score(f"same_{preposition}_{name}", answer == prediction.mood, feedback=f"{review!r} is {answer}")


@pytest.mark.dspex_gate("both_moods", min=1)
def test_the_answers_are_not_all_the_same(mood, score):
    score("both_moods", {mood(**row.inputs()).mood for row in ROWS} == MOODS)
