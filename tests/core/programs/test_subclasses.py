"""Programs that extend built-in ones: whichever method they define, both manners of calling use it."""

import asyncio

import pytest

from dspex_core import ChainOfThought, Module, Parallel, Predict, ScriptedLM, context

REPLY = {"reasoning": "because", "answer": "yes"}


class Marked(ChainOfThought):
    def forward(self, **inputs):
        prediction = super().forward(**inputs)
        prediction.mark = "forward"
        return prediction


class AsyncMarked(ChainOfThought):
    async def aforward(self, **inputs):
        prediction = await super().aforward(**inputs)
        prediction.mark = "aforward"
        return prediction


class Inherited(Marked):
    pass


class Flowing(Marked):
    def flow(self, **inputs):
        prediction = yield from Module.steps(self.predict, **inputs)
        prediction.mark = "flow"
        return prediction


def both(program, **inputs):
    yield program(**inputs)
    yield asyncio.run(program.acall(**inputs))


@pytest.mark.parametrize(
    ("program", "mark"),
    [(Marked, "forward"), (AsyncMarked, "aforward"), (Inherited, "forward"), (Flowing, "flow")],
)
def test_what_a_subclass_defines_is_its_logic_sync_and_async(program, mark):
    with context(lm=ScriptedLM([REPLY] * 2)):
        for prediction in both(program("question -> answer"), question="?"):
            assert (prediction.answer, prediction.mark) == ("yes", mark)


def test_the_forward_of_a_built_in_program_can_be_called():
    with context(lm=ScriptedLM([REPLY] * 3)):
        assert ChainOfThought("question -> answer").forward(question="?").answer == "yes"
        assert asyncio.run(Predict("question -> answer").aforward(question="?")).answer == "yes"
        [found] = Parallel(disable_progress_bar=True).forward([(Predict("question -> answer"), {"question": "?"})])
        assert found.answer == "yes"


def test_a_program_without_any_logic_says_so():
    class Nothing(Module):
        pass

    with pytest.raises(NotImplementedError, match="Nothing defines neither forward nor aforward"):
        Nothing()(question="?")
