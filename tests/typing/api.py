"""The public API as type checkers see it. Checked by mypy and pyright, never run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, assert_type

import pytest
from dspex_core.teleprompt import LabeledFewShot
from dspex_core.utils.callback import BaseCallback as SameCallback

import dspex_core as dspy
from dspex_core import (
    BM25,
    LM,
    Adapter,
    BaseCallback,
    BaseLM,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    Budget,
    ChainOfThought,
    ChatAdapter,
    Evaluate,
    EvaluationResult,
    Example,
    InputField,
    JSONAdapter,
    Judge,
    KNNFewShot,
    LMRequest,
    LMResponse,
    Message,
    Module,
    OutputField,
    Predict,
    Prediction,
    ReAct,
    ResponseCache,
    Score,
    ScriptedLM,
    Signature,
    Tool,
    TwoStepAdapter,
    XMLAdapter,
    calibrate,
    exact_match,
    load_dataset,
)
from dspex_core.spending.usage import UsageTracker
from dspex_core.streaming import StreamListener, StreamResponse
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
judge = Judge("polite", scale=bool, votes=3)
assert_type(judge(examples[0], predict(text="x")), Score)
assert_type(calibrate(judge, examples).kappa, float)
assert_type(judge.corrected(result, calibrate(judge, examples)).interval.low, float)

# DSPy's module paths
assert_type(dspy.teleprompt.LabeledFewShot(k=2), LabeledFewShot)
log_class: type[BaseCallback] = SameCallback

# Optimizers
assert_type(BootstrapFewShot(metric, max_bootstrapped_demos=2).compile(predict, trainset=examples), Predict)
assert_type(
    BootstrapFewShotWithRandomSearch(metric, seed=0).compile(Pipeline(), trainset=examples, valset=examples), Pipeline
)
assert_type(KNNFewShot(k=4, trainset=examples).compile(predict), Predict)
assert_type(LabeledFewShot(k=2).compile(predict, trainset=examples), Predict)

# Retrieval
assert_type(BM25(["a passage", "another"], k=1)("passage"), Prediction)

# A signature's fields have the types that it declares
one = Intent(text="Where is my parcel?", intent="delivery")
assert_type(one.text, str)
assert_type(one.intent, Literal["cancel", "delivery"])
Intent(txt="x", text="x", intent="cancel")  # type: ignore[call-arg]  # there is no such field
assert_type(Signature("question -> answer"), type[Signature])
assert_type(Intent.append("why", OutputField(), str), type[Signature])
assert_type(Intent.with_instructions("Be brief."), type[Signature])

# Saving and loading
predict.save("predict.json")
predict.load("predict.json")
assert_type(dspy.load("pipeline"), Module)
assert_type(Pipeline().deepcopy(), Pipeline)
assert_type(predict.load_state(predict.dump_state()), Predict)

# The results of an evaluation
assert_type(result.score, float)
assert_type(result.mean, float)
for tested, predicted, value in result.results:
    assert_type(tested, Example)
    assert_type(predicted, Prediction | None)
    assert_type(value, float)
for case in result.errors:
    assert_type(case.example, Example)
    assert_type(case.latency, float)

# Adapters
adapters: list[Adapter] = [ChatAdapter(), JSONAdapter(), XMLAdapter(), TwoStepAdapter(lm)]
dspy.configure(adapter=adapters[0])

# Tools
tool = Tool(weather, name="weather", desc="Forecast the weather.")
assert_type(tool.name, str)
assert_type(tool(city="Rome"), Any)


# Callbacks and streams
class Log(BaseCallback):
    def on_lm_end(self, call_id: str, outputs: list[str] | None, exception: BaseException | None = None) -> None:
        assert_type(outputs, list[str] | None)


dspy.configure(callbacks=[Log()])


async def stream() -> None:
    listeners = [StreamListener("answer")]
    async for piece in dspy.streamify(predict, stream_listeners=listeners)(text="x"):
        if isinstance(piece, StreamResponse):
            assert_type(piece.chunk, str)
        elif isinstance(piece, Prediction):
            assert_type(piece.intent, Any)


for piece in dspy.streamify(predict, async_streaming=False)(text="x"):
    assert_type(piece, Any)

# The cache, the spending, and what runs beside others
cache = ResponseCache(Path("answers.db"), memory_entries=1000)
with dspy.context(lm=lm, cache=cache, num_threads=8):
    assert_type(predict(text="x"), Prediction)
with dspy.track_usage() as usage:
    predict(text="x")
    assert_type(usage, UsageTracker)
with dspy.context(budget=Budget(dollars=1.5)):
    predict(text="x")


# LMs of a user's own, in each of DSPy's forms
class CalledLM(BaseLM):
    def __call__(
        self, prompt: str | None = None, messages: list[dict[str, Any]] | None = None, **kwargs: Any
    ) -> list[str]:
        return ["hello"]

    async def acall(
        self, prompt: str | None = None, messages: list[dict[str, Any]] | None = None, **kwargs: Any
    ) -> list[str]:
        return self(prompt, messages, **kwargs)


class ForwardLM(LM):
    def forward(
        self, prompt: str | None = None, messages: list[dict[str, Any]] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        return {"asked": super().forward(prompt, messages, **kwargs)}

    async def aforward(self, prompt=None, messages=None, **kwargs):  # type: ignore[no-untyped-def]  # as users write it
        return await super().aforward(prompt=prompt, messages=messages, **kwargs)


class TypedLM(BaseLM):
    forward_contract = "typed_lm"

    def forward(self, request: LMRequest) -> LMResponse:
        return self.complete(request)


class UntypedLM(BaseLM):
    def __call__(self, prompt=None, messages=None, **kwargs):  # type: ignore[no-untyped-def]  # as users write it
        return super().__call__(prompt=prompt, messages=messages, **kwargs)


assert_type(ForwardLM("mine")("hello"), list[Any])
assert_type(CalledLM("mine")("hello"), list[str])


# The plugin
@program(optimizer=BootstrapFewShot(metric), metric=metric, trainset="data/train.jsonl", testset="data/test.jsonl")
def intent() -> Predict:
    return Predict(Intent)


@pytest.mark.dspex_data("data/test.jsonl", inputs=["text"])
@pytest.mark.dspex_gate("accuracy", min=0.85)
def test_intent(example: Example, prediction: Prediction, score: Callable[..., None]) -> None:
    score("accuracy", prediction.intent == example.intent)


@pytest.mark.dspex_prediction("intent")
def test_with_other_fixtures(
    lm: BaseLM, scripted_lm: Callable[..., ScriptedLM], dspex_context: None, intent: Predict, example: Example
) -> None:
    assert_type(lm("hello"), list[Any])
    assert_type(scripted_lm([{"intent": "cancel"}]), ScriptedLM)
    assert_type(intent(**example.inputs()), Prediction)


# What `@program` makes is still the function's type for whoever calls it
builds: Callable[[], Predict] = intent


@program
def pipeline() -> Pipeline:
    return Pipeline()


builds_a_pipeline: Callable[[], Pipeline] = pipeline

predict.set_lm(ScriptedLM([{"intent": "cancel"}]))
predict.set_lm(dspy.DummyLM([{"intent": "cancel"}]))
