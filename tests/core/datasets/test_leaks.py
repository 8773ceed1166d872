"""Examples that are nearly in two sets."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core import Example
from dspex_core.datasets import near_duplicates
from dspex_core.errors import ConfigurationError


def examples(*texts, **more):
    return [Example(q=text, **more).with_inputs("q", *more) for text in texts]


def pairs(found):
    return [(each.example.q, each.other.q, round(each.similarity, 2)) for each in found]


QUESTIONS = [
    "How do I reset my password?",
    "Where is my parcel? I have waited for two weeks.",
    "Can I pay by card?",
    "What is 3+4?",
]


@pytest.mark.parametrize(
    "changed",
    [
        "how do I reset  my password",
        "How do I reset my password please?",
        '"How do I reset my password"?!',
        "How do I rest my password?",
        "How do I reset my passwort?",
        "So, how do I reset my password?",
    ],
)
def test_small_changes_of_a_text_are_found(changed):
    (found,) = near_duplicates(examples(changed), examples(*QUESTIONS))

    assert found.other.q == QUESTIONS[0]
    assert found.similarity >= 0.7


@pytest.mark.parametrize("other", ["How do I change my address?", "Is my parcel lost?", "", "?", "12", "What is 3-4?"])
def test_other_texts_are_not(other):
    assert near_duplicates(examples(other), examples(*QUESTIONS)) == []


def test_equal_examples_are_included_and_the_nearest_is_chosen():
    a = examples("Can I pay by card?", "can i  pay by card?", "Can I pay by cards?")
    b = examples("Can I pay by cart?", "Can I pay by card?")

    assert pairs(near_duplicates(a, b)) == [
        (a[0].q, b[1].q, 1.0),
        (a[1].q, b[1].q, 1.0),
        (a[2].q, b[1].q, pytest.approx(0.83)),
    ]


def test_every_input_must_be_alike():
    handbook = "The handbook says many things about parcels, refunds and cards. " * 20
    a = examples("Where is my parcel?", context=handbook)
    b = examples("May I return a dress?", context=handbook)

    assert near_duplicates(a, b) == []
    assert near_duplicates(a, examples("Where is my parcel?!", context=handbook + "Really."))


def test_inputs_may_have_any_type_and_a_side_may_be_empty():
    a = [Example(turns=[{"user": "Where is my parcel"}], n=n).with_inputs("turns", "n") for n in (1, 2)]
    b = [Example(turns=[{"user": "Where is my parcel?"}], n=1).with_inputs("turns", "n")]

    assert [each.example.n for each in near_duplicates(a, b)] == [1]
    assert near_duplicates([], b) == near_duplicates(a, []) == []
    assert near_duplicates(iter(a), iter(a))[0].similarity == 1


@pytest.mark.parametrize("threshold", [0, 0.4, 1.1, -1])
def test_a_threshold_at_which_pairs_would_be_missed_is_refused(threshold):
    with pytest.raises(ConfigurationError, match="threshold"):
        near_duplicates([], [], threshold=threshold)


def test_each_planted_pair_is_found_among_many():
    seeded = random.Random(0)
    words = ["".join(seeded.choices("etaoinshrdlu", k=seeded.randint(2, 8))) for _ in range(500)]
    b = [" ".join(seeded.choices(words, k=12)) for _ in range(300)]
    a = [" ".join([*text.split()[:-1], seeded.choice(words)]) for text in b[:100]]

    found = near_duplicates(examples(*a), examples(*b))

    assert (
        sum(each.other.q == b[a.index(each.example.q)] for each in found) >= 95
    )  # a long last word is a larger change


def test_many_alike_are_compared_with_all_others():
    b = [f"The order {number} of a customer is late by some days" for number in range(1000)]

    (found,) = near_duplicates(examples("The order 999 of a customer is late by some day"), examples(*b))

    assert found.similarity >= 0.9


@given(st.lists(st.text(max_size=40), max_size=6), st.lists(st.text(max_size=40), max_size=6))
def test_any_texts_can_be_compared(left, right):
    for each in near_duplicates(examples(*left), examples(*right)):
        assert 0.7 <= each.similarity <= 1
