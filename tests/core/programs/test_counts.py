"""Counts and functions that users give to programs: each wrong one is one clear message."""

import asyncio

import numpy as np
import pytest

import dspex_core as dspy

QA = "question -> answer"
ROWS = [dspy.Example(question="a", answer="b").with_inputs("question")]
COUNTS = {
    "ReAct": lambda n: dspy.ReAct(QA, [look], max_iters=n),
    "ReActV2": lambda n: dspy.ReActV2(QA, [look], max_iters=n),
    "CodeAct": lambda n: dspy.CodeAct(QA, [], max_iters=n),
    "ProgramOfThought": lambda n: dspy.ProgramOfThought(QA, max_iters=n),
    "RLM": lambda n: dspy.RLM(QA, max_iters=n),
    "RLM's calls": lambda n: dspy.RLM(QA, max_llm_calls=n),
    "BestOfN": lambda n: dspy.BestOfN(dspy.Predict(QA), N=n, reward_fn=reward, threshold=1.0),
    "Refine": lambda n: dspy.Refine(dspy.Predict(QA), N=n, reward_fn=reward, threshold=1.0),
    "failures": lambda n: dspy.BestOfN(dspy.Predict(QA), N=2, reward_fn=reward, threshold=1.0, fail_count=n),
    "MultiChainComparison": lambda n: dspy.MultiChainComparison(QA, M=n),
    "Parallel": lambda n: dspy.Parallel(num_threads=n),
    "KNN": lambda n: dspy.KNN(k=n, trainset=ROWS),
    "Retrieve": lambda n: dspy.Retrieve(k=n),
}
ALONE = [lambda program, **inputs: program(**inputs), lambda program, **inputs: asyncio.run(program.acall(**inputs))]


def look(place: str) -> str:
    """Look there."""
    return place


def reward(_inputs, _prediction):
    return 1.0


@pytest.mark.parametrize("wrong", ["3", 2.5, True, None, float("nan"), [3]])
@pytest.mark.parametrize("name", sorted(COUNTS.keys() - {"Parallel", "failures"}))
def test_a_count_is_a_whole_number(name, wrong):
    with pytest.raises(dspy.ConfigurationError, match="must be a whole number, not"):
        COUNTS[name](wrong)


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_is_not_negative_and_may_be_of_numpy(name):
    with pytest.raises(dspy.ConfigurationError, match=r"must be at least [01], not -1"):
        COUNTS[name](-1)
    with pytest.raises(dspy.ConfigurationError, match="must be a whole number, not '3'"):
        COUNTS[name]("3")
    COUNTS[name](np.int64(3))


@pytest.mark.parametrize("call", ALONE, ids=["sync", "async"])
@pytest.mark.parametrize("agent", [dspy.ReAct, dspy.ReActV2])
@pytest.mark.parametrize("wrong", ["3", 1.5, -1])
def test_the_turns_of_a_call_too(agent, call, wrong):
    lm = dspy.ScriptedLM([])
    with dspy.context(lm=lm), pytest.raises(dspy.ConfigurationError, match="max_iters must be"):
        call(agent(QA, [look]), question="?", max_iters=wrong)
    assert not lm.history


@pytest.mark.parametrize("program", [dspy.BestOfN, dspy.Refine])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reward_fn": None}, "reward_fn must be a function"),
        ({"reward_fn": 0.5}, "reward_fn must be a function"),
        ({"threshold": "1"}, "threshold must be a number"),
        ({"threshold": float("nan")}, "threshold must be a number"),
    ],
)
def test_what_attempts_are_judged_by_is_checked_before_any_is_made(program, wrong, message):
    with pytest.raises(dspy.ConfigurationError, match=message):
        program(dspy.Predict(QA), **{"N": 2, "reward_fn": reward, "threshold": 1.0, **wrong})
