"""Optimizers, tools and streams take what DSPy's take: code of users, run with either."""

import asyncio
import importlib
import threading
from contextlib import contextmanager

import pytest
from both import chat, in_real, refused, scripted, uses

use, USES = uses()


def module(dspy, path):
    return importlib.import_module(f"{dspy.__name__}.{path}")


@use
def labels_without_inputs(dspy):
    rows = [dspy.Example(q=str(number), a="x") for number in range(4)]
    return len(dspy.LabeledFewShot(k=2).compile(dspy.Predict("q -> a"), trainset=rows).demos)


@use
def programs_without_predictors(dspy):
    class Plain(dspy.Module):
        def forward(self, q):
            return dspy.Prediction(a=q)

    rows = [dspy.Example(q="1", a="1").with_inputs("q")]
    made = [
        dspy.LabeledFewShot(k=1).compile(Plain(), trainset=rows),
        dspy.BootstrapFewShot().compile(Plain(), trainset=rows),
    ]
    return [each(q="2").a for each in made]


@use
def searches(dspy):
    rows = [dspy.Example(q=str(number), a="x").with_inputs("q") for number in range(6)]
    with dspy.context(lm=scripted(dspy, {"[[ ## q ## ]]": chat(a="x")}), adapter=dspy.ChatAdapter()):
        search = dspy.BootstrapFewShotWithRandomSearch(
            metric=lambda row, found, trace=None: row.a == found.a, num_candidate_programs=1, num_threads=1
        )
        some = search.compile(dspy.Predict("q -> a"), trainset=rows, restrict=[-2], labeled_sample=False)
        return len(search.compile(dspy.Predict("q -> a"), trainset=rows).demos), some.demos[0]["a"]


@use
def arguments_of_a_schema(dspy):
    convert = module(dspy, "adapters.types.tool").convert_input_schema_to_tool_args
    properties = {"a": {"type": "integer", "description": "A"}, "b": {"type": "array"}, "c": {"type": "object"}}
    args, types, words = convert({"type": "object", "properties": properties, "required": ["a"]})
    return args, types, "A" in words["a"], list(words)


@use
def converters(dspy):
    return (
        callable(module(dspy, "utils.mcp").convert_mcp_tool),
        callable(module(dspy, "utils.langchain_tool").convert_langchain_tool),
    )


@use
def vectors_without_a_model(dspy):
    make = module(dspy, "utils.dummies").DummyVectorizer()
    near, far = make(["the cat", "the cats", "xyz"]), make(["the cat"])
    return near.shape, bool(near[0] @ near[1] > near[0] @ near[2]), bool(abs(far[0] @ far[0] - 1) < 0.01)


@use
def nearest_examples_by_them(dspy):
    make = module(dspy, "utils.dummies").DummyVectorizer()
    rows = [dspy.Example(q=text).with_inputs("q") for text in ("the cat", "xyz", "the cats")]
    return [row.q for row in dspy.KNN(k=2, trainset=rows, vectorizer=make)(q="the cat")][-1] in ("the cat", "the cats")


@use
def an_async_stream_read_sync(dspy):
    async def counted():
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    return list(module(dspy, "streaming").apply_sync_streaming(counted()))


@use
def an_error_in_such_a_stream(dspy):
    async def failing():
        yield 1
        raise KeyError("mine")

    with threads_may_fail():
        found = module(dspy, "streaming").apply_sync_streaming(failing())
        return next(found), refused(lambda: next(found), KeyError, StopIteration)


@contextmanager
def threads_may_fail():
    """Wait for the threads of a block, and keep their errors from pytest: DSPy's thread raises what it has emitted."""
    before, hook = set(threading.enumerate()), threading.excepthook
    threading.excepthook = lambda _: None
    try:
        yield
        for thread in set(threading.enumerate()) - before:
            thread.join(timeout=10)
    finally:
        threading.excepthook = hook


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)
