"""Each program does the same however it is driven: called, awaited, or streamed in either manner."""

import asyncio
import importlib
import json
import pkgutil
from dataclasses import dataclass, field

import pytest

import dspex_core
from dspex_core import (
    BM25,
    KNN,
    RLM,
    BestOfN,
    ChainOfThought,
    ChatAdapter,
    CodeAct,
    Embeddings,
    Example,
    FunctionCall,
    KNNFewShot,
    LexicalEmbedder,
    LMOutput,
    Module,
    MultiChainComparison,
    Parallel,
    Predict,
    Prediction,
    ProgramOfThought,
    ReAct,
    ReActV2,
    Refine,
    Retriever,
    ScriptedLM,
    SemanticF1,
    context,
    streamify,
    track_usage,
)
from dspex_core.example import Record
from dspex_core.judges.base import BaseJudge
from dspex_core.judges.ideas import CompleteAndGrounded
from dspex_core.optimizers.ensemble import Ensemble, EnsembledProgram
from dspex_core.programs.base import Predictor
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.retrieve import Retrieve

CORPUS = ["Otters dive for fish.", "Foxes dig dens.", "Herons stand in water."]
ROWS = [Example(question=text, answer=text.split()[0]).with_inputs("question") for text in CORPUS]
BY_QUESTION = {"Otters": {"answer": "fish"}, "Foxes": {"answer": "dens"}, "Herons": {"answer": "water"}}
ASKED = {"question": "Who dives?"}


@dataclass(frozen=True)
class Case:
    """A program with what it is called with, and the replies that it gets."""

    make: object
    replies: object = ()
    inputs: dict = field(default_factory=lambda: ASKED)
    args: tuple = ()
    native: bool = False
    programs: tuple = ()  # the classes that it shows


async def population(city: str) -> int:
    """Count the people of a city."""
    await asyncio.sleep(0)
    return len(city)


def weather(city: str) -> str:
    """Tell the weather."""
    if city == "Atlantis":
        raise LookupError(city)
    return f"sunny in {city}"


def turn(name, **args):
    return {"next_thought": "so", "next_tool_name": name, "next_tool_args": args}


def call(name, **args):
    return LMOutput("so", tool_calls=(FunctionCall(name, json.dumps(args), f"of {name}"),))


def brief(inputs, prediction):
    return 1.0 if len(prediction.answer) < 5 else 0.5


class Sync(Module):
    """Drafts an answer, then looks for a passage that says the same."""

    def __init__(self):
        self.draft = ChainOfThought("question -> draft")
        self.answer = Predict("draft, passages -> answer")
        self.search = BM25(CORPUS, k=1)

    def forward(self, question):
        draft = self.draft(question=question).draft
        return self.answer(draft=draft, passages=self.search(draft).passages)


class OfSettings(Module):
    """Finds passages with a retriever that it sets."""

    def __init__(self):
        self.retrieve = Retrieve(k=1)

    def forward(self, query, rm):
        with context(rm=rm):
            return self.retrieve(query)


class Async(Sync):
    async def aforward(self, question):
        draft = (await self.draft.acall(question=question)).draft
        return await self.answer.acall(draft=draft, passages=(await self.search.acall(draft)).passages)

    forward = Module.forward


class Batched(Module):
    def __init__(self):
        self.ask = Predict("question -> answer")

    def forward(self, rows):
        return self.ask.batch(rows, num_threads=2)

    async def aforward(self, rows):
        return await self.ask.abatch(rows, num_threads=2)


class Pairs(Module):
    """Runs a `Parallel` on pairs that each run makes anew."""

    def __init__(self):
        self.ask = Predict("question -> answer")
        self.parallel = Parallel(num_threads=2, return_failed_examples=True)

    def flow(self, rows):
        return (yield from Module.steps(self.parallel, [(self.ask, row) for row in rows]))


REASONED = {"reasoning": "so", "answer": "otters"}
WRITTEN = [turn("weather", city="Atlantis"), turn("population", city="Oslo"), turn("finish"), REASONED]
NATIVE = [call("weather", city="Oslo"), call("population", city="Oslo"), call("finish"), REASONED]
TWO_STEPS = [{"reasoning": "so", "draft": "otters dive"}, {"answer": "otters"}]

CASES = {
    "Predict": Case(lambda: Predict("question -> answer"), [REASONED], programs=(Predict,)),
    "a reply that is mended": Case(lambda: Predict("question -> answer"), ["no format", REASONED]),
    "two completions": Case(lambda: Predict("question -> answer", n=2), [REASONED, {"answer": "herons"}]),
    "ChainOfThought": Case(lambda: ChainOfThought("question -> answer"), [REASONED], programs=(ChainOfThought,)),
    "ReAct": Case(lambda: ReAct("question -> answer", [weather, population]), WRITTEN, programs=(ReAct,)),
    "ReAct, native": Case(lambda: ReAct("question -> answer", [weather, population]), NATIVE, native=True),
    "ReActV2": Case(
        lambda: ReActV2("question -> answer", [weather, population]),
        [call("weather", city="Atlantis"), call("population", city="Oslo"), call("submit", answer="otters")],
        programs=(ReActV2,),
        native=True,
    ),
    "ProgramOfThought": Case(
        lambda: ProgramOfThought("question -> answer"),
        [{"reasoning": "so", "generated_code": code} for code in ("1 / 0", "print('otters')")] + [REASONED],
        programs=(ProgramOfThought,),
    ),
    "CodeAct": Case(
        lambda: CodeAct("question -> answer", tools=[weather, population]),
        [
            {"generated_code": "weather(city='Oslo') + str(population(city='Oslo'))", "finished": "False"},
            {"generated_code": "print('done')", "finished": "True"},
            REASONED,
        ],
        programs=(CodeAct,),
    ),
    "RLM": Case(
        lambda: RLM("passages, question -> answer", tools=[weather]),
        [
            {"reasoning": "so", "code": "print(weather(city='Oslo'), llm_query('Who dives? ' + passages[0]))"},
            "otters",
            {"reasoning": "so", "code": "SUBMIT(answer='otters')"},
        ],
        {**ASKED, "passages": CORPUS},
        programs=(RLM,),
    ),
    "BestOfN": Case(
        lambda: BestOfN(Predict("question -> answer"), 3, brief, 1.0),
        [{"answer": "all otters"}, {"answer": "otter"}, {"answer": "ibis"}],
        programs=(BestOfN,),
    ),
    "Refine": Case(
        lambda: Refine(ChainOfThought("question -> answer"), 2, brief, 1.0),
        [
            REASONED,
            {"discussion": "too long", "advice": {"predict": "Be brief."}},
            {"reasoning": "so", "answer": "ibis"},
        ],
        programs=(Refine,),
    ),
    "MultiChainComparison": Case(
        lambda: MultiChainComparison("question -> answer", M=2),
        [{"rationale": "so", "answer": "otters"}],
        args=([Prediction(rationale="first", answer="otters"), Prediction(rationale="then", answer="herons")],),
        programs=(MultiChainComparison,),
    ),
    "SemanticF1": Case(
        SemanticF1,
        [{"reasoning": "so", "recall": 1.0, "precision": 0.25}],
        {"example": Example(question="?", response="Otters."), "pred": Prediction(response="Otters and herons.")},
        programs=(SemanticF1,),
    ),
    "CompleteAndGrounded": Case(
        CompleteAndGrounded,
        [
            {
                "reasoning": "so",
                "ground_truth_key_ideas": "otters",
                "system_response_key_ideas": "otters",
                "discussion": "one of one",
                "completeness": 1.0,
            },
            {"reasoning": "so", "system_response_claims": "otters", "discussion": "half", "groundedness": 0.5},
        ],
        {
            "example": Example(question="?", response="Otters."),
            "pred": Prediction(response="Otters.", context="Otters dive."),
        },
        programs=(CompleteAndGrounded,),
    ),
    "Ensemble": Case(
        lambda: Ensemble(reduce_fn=lambda found: found[-1]).compile([Predict("question -> answer")] * 2),
        [{"answer": "otters"}, {"answer": "herons"}],
        programs=(EnsembledProgram,),
    ),
    "Retrieve": Case(OfSettings, inputs={"query": "who dives for fish", "rm": BM25(CORPUS, k=2)}, programs=(Retrieve,)),
    "Parallel": Case(Pairs, BY_QUESTION, {"rows": ROWS}, programs=(Parallel,)),
    "batch": Case(Batched, BY_QUESTION, {"rows": ROWS}),
    "nearest demos": Case(lambda: KNNFewShot(1, ROWS).compile(Predict("question -> answer")), [REASONED]),
    "a program with forward": Case(Sync, TWO_STEPS),
    "a program with aforward": Case(Async, TWO_STEPS),
    "BM25": Case(lambda: BM25(CORPUS, k=2), inputs={"query": "who dives for fish"}, programs=(BM25,)),
    "Embeddings": Case(
        lambda: Embeddings(CORPUS, LexicalEmbedder(), k=2), inputs={"query": "otters"}, programs=(Embeddings,)
    ),
    "KNN": Case(lambda: KNN(1, ROWS), inputs={"question": "Otters?"}),
}


def called(program, args, inputs):
    return program(*args, **inputs)


def awaited(program, args, inputs):
    return asyncio.run(program.acall(*args, **inputs))


def streamed(program, args, inputs):
    async def last():
        return [item async for item in streamify(program)(*args, **inputs)][-1]

    return asyncio.run(last())


def streamed_in_a_thread(program, args, inputs):
    return list(streamify(program, async_streaming=False)(*args, **inputs))[-1]


def run(case, drive):
    """Return what a program gave back, what was asked and answered, and what that took."""
    lm, program = ScriptedLM(case.replies, supports_function_calling=case.native), case.make()
    adapter = ChatAdapter(use_native_function_calling=case.native)
    with context(lm=lm, adapter=adapter, track_usage=True), track_usage() as usage:
        found = drive(program, case.args, case.inputs)
    logs = [sorted(map(exchanged, log)) for log in (lm.history, getattr(program, "history", ()))]
    return plain(found), logs, (usage.calls, usage.by_model)


def exchanged(entry):
    """What was asked and answered in a call, as text; calls made at the same time end in any order."""
    request = entry.request
    asked = [message.to_json() for message in request.messages]
    return json.dumps([asked, dict(request.config), [tool.name for tool in request.tools], str(entry.response)])


def plain(found):
    """A prediction with the usage and the failed tools that it says, as plain values; any other value as it is."""
    if isinstance(found, Prediction):
        errors = [str(error) for error in found.get_tool_errors()]
        completions = [dict(each.items()) for each in found.completions] if "answer" in found else []
        return {name: plain(value) for name, value in found.items()}, completions, found.get_lm_usage(), errors
    if isinstance(found, Record):
        return dict(found.items())
    return [plain(each) for each in found] if isinstance(found, list | tuple) else found


@pytest.mark.parametrize("drive", [awaited, streamed, streamed_in_a_thread])
@pytest.mark.parametrize("name", CASES)
def test_prediction_history_and_usage_are_those_of_a_call(name, drive):
    case = CASES[name]

    expected, logs, usage = run(case, called)

    assert expected
    assert len(logs[0]) == (usage[0] if case.replies else 0)
    assert run(case, drive) == (expected, logs, usage)


def test_every_program_and_retriever_is_among_them():
    for module in pkgutil.walk_packages(dspex_core.__path__, "dspex_core."):
        importlib.import_module(module.name)
    shown = {program for case in CASES.values() for program in case.programs}
    found = {each for base in (Module, Retriever) for each in subclasses(base)} - {BuiltIn, Predictor}
    others = {each for each in found if each.__name__[0] == "_"}  # parts of what uses them
    bridged = {each for each in found if each.__module__.startswith("dspex_core.interop.")}  # see compat/test_bridge.py
    programs = found - others - bridged

    assert {each for each in programs if each in shown or not issubclass(each, BaseJudge)} == shown  # see core/judges


def subclasses(base):
    for each in base.__subclasses__():
        if each.__module__.startswith("dspex_core."):
            yield each
            yield from subclasses(each)
