"""DSPy's metrics give the same scores in ours: code of users, run with either."""

import importlib

import pytest
from both import chat, in_real, refused, scripted, uses

use, USES = uses()
TEXTS = ["The  Cat's, sat!", "A an the", "Ü\u0301 code \u2014 x", "x-y z_a", "1,000.5", "", "anthem theatre a"]
PAIRS = [
    ("the cat", ["Cat", "dog"]),
    ("a b c", ["b c d", "x"]),
    ("x y", ["z"]),
    ("yes", ["no"]),
    ("yes indeed", ["yes"]),
    ("yes", ["Yes."]),
    ("b c", ["b d"]),
    ("b b c", ["b c c"]),
    ("", ["x"]),
    ("noanswer", ["no answer", "noanswer"]),
]


def metrics(dspy):
    return importlib.import_module(f"{dspy.__name__}.evaluate.metrics")


@use
def normal_texts(dspy):
    return [dspy.evaluate.normalize_text(text) for text in TEXTS]


@use
def scores_of_pairs(dspy):
    found = metrics(dspy)
    lists = [found.EM, found.F1, found.HotPotF1]
    singles = [found.em_score, found.f1_score, found.hotpot_f1_score, found.precision_score]
    return [
        ([kind(text, wanted) for kind in lists], [kind(text, wanted[0]) for kind in singles]) for text, wanted in PAIRS
    ]


@use
def no_list_of_answers(dspy):
    found = metrics(dspy)
    return [refused(lambda kind=kind: kind("a", "a"), ValueError) for kind in (found.EM, found.F1, found.HotPotF1)]


@use
def exact_answers(dspy):
    match, row, answer = dspy.evaluate.answer_exact_match, dspy.Example, dspy.Prediction
    return (
        match(row(answer="The cat"), answer(answer="cat")),
        match(row(answer=["x", "cat"]), answer(answer="cat")),
        match(row(answer="b c d"), answer(answer="b c"), frac=0.7),
        match(row(answer="b c d"), answer(answer="b c"), frac=0.9),
        match(row(answer="dog"), answer(answer="cat"), None),
        refused(lambda: match(row(answer=5), answer(answer="5")), ValueError),
    )


@use
def answers_in_passages(dspy):
    match, row = dspy.evaluate.answer_passage_match, dspy.Example
    cases = [("cat", ["the Cat | sat", "x"]), (["dog", "sat"], ["the Cat sat"]), ("dog", ["cat"]), ("do", ["dog"])]
    cases += [("new york", ["In New, York"]), ("york new", ["In New York"]), ("cat", [])]
    cases += [
        ("1000", ["\u20181,000\u2019"]),
        ("São", ["“são” Paulo"]),
        ("北京", ["在北京"]),
        ("", ["x"]),
        ("-", []),
        ("€5", ["5€ €5"]),
    ]
    cases += [("\u2019", ["don\u2019t"]), ("a\u0301", ["á la carte"]), ([], ["x"]), (["", "y"], [""]), ("½", ["1½ ½"])]
    return (
        [match(row(answer=answer), dspy.Prediction(context=context)) for answer, context in cases],
        refused(lambda: match(row(answer=3), dspy.Prediction(context=["cat"])), ValueError),
    )


@use
def complete_and_grounded_answers(dspy):
    row = dspy.Example(question="q", response="r").with_inputs("question")
    replies = [
        chat(
            reasoning="r", ground_truth_key_ideas="k", system_response_key_ideas="k", discussion="d", completeness=0.5
        ),
        chat(reasoning="r", system_response_claims="c", discussion="d", groundedness=1.0),
    ]
    judge = dspy.evaluate.CompleteAndGrounded()
    with dspy.context(lm=scripted(dspy, replies * 2), adapter=dspy.ChatAdapter()):
        answer = dspy.Prediction(response="r", context="c")
        found = judge(row, answer)
        return found.score if hasattr(found, "score") else found, bool(judge(row, answer, trace=[]).score)


@use
def metrics_in_an_evaluation(dspy):
    rows = [dspy.Example(question=text, answer=text).with_inputs("question") for text in ("yes", "no")]
    with dspy.context(lm=scripted(dspy, [chat(answer="Yes.")] * 2), adapter=dspy.ChatAdapter()):
        run = dspy.Evaluate(devset=rows, metric=dspy.evaluate.answer_exact_match, num_threads=1)
        return run(dspy.Predict("question -> answer")).score


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)
