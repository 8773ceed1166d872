"""The public API as type checkers see it. Checked by mypy and pyright, never run."""

from collections.abc import Callable
from typing import Any, Literal, assert_type

import pytest
from dspex_core.teleprompt import LabeledFewShot

import dspex_core as dspy
from dspex_core import (
    BM25,
    LM,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    ChainOfThought,
    Evaluate,
    EvaluationResult,
    Example,
    InputField,
    KNNFewShot,
    LMRequest,
    LMResponse,
    Message,
    Module,
    OutputField,
    Predict,
    Prediction,
    ReAct,
    Score,
    ScriptedLM,
    Signature,
    Tool,
    exact_match,
    load_dataset,
)
from pytest_dspex import program


class Intent(Signature):
    """Decide what the customer's message is about."""

    text: str = InputField(desc="as the customer wrote it")
    intent: Literal["cancel", "delivery"] = OutputField()


class Pipeline(Module):
    def __init__(self) -> None:
        super().__init__()
        self.decide = ChainOfThought(Intent)

    def forward(self, text: str) -> Prediction:
        return self.decide(text=text)


def weather(city: str, days: int = 1) -> str:
    return f"{city}: {days} days of sun"


def metric(example: Example, prediction: Prediction, trace: Any = None) -> float:
    return float(example.intent == prediction.intent)


# Programs
predict = Predict(Intent)
assert_type(predict, Predict)
assert_type(predict(text="Where is my parcel?"), Prediction)
assert_type(Predict("question -> answer: int")(question="How many?"), Prediction)
assert_type(Pipeline()(text="x"), Any)  # what a `forward` of one's own returns is not known
assert_type(ReAct("question -> answer", tools=[weather, Tool(weather)])(question="?"), Prediction)


async def ask() -> None:
    assert_type(await predict.acall(text="x"), Prediction)
    assert_type(await LM("openai/gpt-4o-mini").acomplete(LMRequest((Message("user", "hi"),))), LMResponse)


# Language models and settings
lm = LM("openai/gpt-4o-mini", temperature=0, max_tokens=100, num_retries=2, timeout=30)
assert_type(lm.complete(LMRequest((Message("user", "hi"),))), LMResponse)
dspy.configure(lm=lm)
with dspy.context(lm=ScriptedLM([{"intent": "cancel"}])):
    predict(text="x")

# Data, metrics, evaluation
examples = load_dataset("data/test.jsonl", inputs=["text"])
evaluate = Evaluate(devset=examples, metric=exact_match("intent"), num_threads=4)
result = evaluate(predict)
assert_type(result, EvaluationResult)
assert_type(result >= 0.8, bool)
assert_type(Score(1.0, feedback="right").value, float)
assert_type(Example(text="x", intent="cancel").with_inputs("text"), Example)

# Optimizers
assert_type(BootstrapFewShot(metric, max_bootstrapped_demos=2).compile(predict, trainset=examples), Predict)
assert_type(
    BootstrapFewShotWithRandomSearch(metric, seed=0).compile(Pipeline(), trainset=examples, valset=examples), Pipeline
)
assert_type(KNNFewShot(k=4, trainset=examples).compile(predict), Predict)
assert_type(LabeledFewShot(k=2).compile(predict, trainset=examples), Predict)

# Retrieval
assert_type(BM25(["a passage", "another"], k=1)("passage"), Prediction)


# The plugin
@program(optimizer=BootstrapFewShot(metric), metric=metric, trainset="data/train.jsonl", testset="data/test.jsonl")
def intent() -> Predict:
    return Predict(Intent)


@pytest.mark.dspex_data("data/test.jsonl", inputs=["text"])
@pytest.mark.dspex_gate("accuracy", min=0.85)
def test_intent(example: Example, prediction: Prediction, score: Callable[..., None]) -> None:
    score("accuracy", prediction.intent == example.intent)


one = Intent(text="x", intent="cancel")
assert_type(one, Intent)
assert_type(one.text, str)
assert_type(Signature("question -> answer"), type[Signature])
assert_type(Intent.append("more", InputField(), int), type[Signature])
