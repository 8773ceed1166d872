"""Fields may have any name that is not refused when the signature is declared, in every program."""

import json

import pytest

from dspex_core import (
    BestOfN,
    ChainOfThought,
    ChatAdapter,
    Evaluate,
    Example,
    JSONAdapter,
    MultiChainComparison,
    Predict,
    ReAct,
    ScriptedLM,
    Signature,
    SignatureError,
    XMLAdapter,
    context,
)

INPUTS = [
    *("config", "lm", "max_iters", "demos", "instructions", "signature", "temperature", "n", "trace", "kwargs", "args"),
    *("inputs", "program", "module", "name", "prompt", "rollout_id", "callbacks", "items", "keys", "values", "get"),
    *("copy", "completed", "model_config", "model_fields", "json", "schema", "dict", "id", "N", "flow", "metric"),
]
OUTPUTS = [
    *("items", "keys", "values", "get", "copy", "toDict", "completions", "completed", "model_config", "model_fields"),
    *("json", "schema", "dict", "config", "lm", "demos", "score", "args", "kwargs", "instructions", "signature"),
    *("without", "labels", "root", "item", "entry", "think", "thinking", "reasoning"),
]


def as_chat(values):
    return "\n\n".join([f"[[ ## {name} ## ]]\n{value}" for name, value in values.items()])


def as_xml(values):
    return "\n".join([f"<{name}>{value}</{name}>" for name, value in values.items()])


as_json = json.dumps
PROGRAMS = {
    "Predict": Predict,
    "ChainOfThought": ChainOfThought,
    "ReAct": lambda signature: ReAct(signature, tools=[]),
    "BestOfN": lambda signature: BestOfN(Predict(signature), N=1, reward_fn=lambda *_: 1.0, threshold=0.5),
}
ADAPTERS = {as_chat: ChatAdapter(), as_json: JSONAdapter(), as_xml: XMLAdapter()}


def answers(write=as_chat, **outputs):
    turn = {"next_thought": "t", "next_tool_name": "finish", "next_tool_args": "{}"}
    return ScriptedLM(lambda _: write({**turn, "reasoning": "r", **outputs}))


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
def test_an_input_of_any_name_reaches_the_prompt(make, name):
    program, lm = make(f"{name} -> answer"), answers(answer="yes")
    with context(lm=lm):
        assert program(**{name: "some text"}).answer == "yes"
        assert "some text" in lm.history[0].request.messages[-1].text
        example = Example({name: "other text", "answer": "yes"}).with_inputs(name)
        [prediction] = program.batch([example])
        assert prediction.answer == "yes"
        result = Evaluate(devset=[example], metric=lambda gold, found: gold.answer == found.answer)(program)
        assert result.mean == 1


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
def test_an_output_of_any_name_is_in_the_prediction(make, name):
    program = make(f"question -> {name}")
    for write, adapter in ADAPTERS.items():
        with context(lm=answers(write, **{name: "yes"}), adapter=adapter):
            assert program(question="q")[name] == "yes"


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_candidates_of_an_output_of_any_name_are_kept(name):
    with context(lm=answers(**{name: "yes"})):
        assert Predict(f"question -> {name}", n=2)(question="q").completions[1][name] == "yes"


def test_an_input_goes_before_the_option_of_its_name_also_where_it_is_none():
    lm = answers(answer="yes")
    signature = Signature("config: str | None, lm -> answer")
    with context(lm=lm):
        assert Predict(signature)(config=None, lm="x").answer == "yes"
        with pytest.raises(SignatureError, match="needs the input 'lm'"):
            Predict(signature)(config="x")


def test_options_stay_options_where_no_input_has_their_name():
    lm = answers(answer="yes")
    assert Predict("question -> answer")(question="q", config={"temperature": 0.5}, lm=lm).answer == "yes"
    assert lm.history[0].request.config["temperature"] == 0.5


def test_an_own_reasoning_is_the_one_of_a_chain_of_thought():
    program = ChainOfThought("question -> answer, reasoning: list[str]")
    assert list(program.predict.signature.output_fields) == ["reasoning", "answer"]
    with context(lm=answers(answer="yes", reasoning='["a", "b"]')):
        assert program(question="q").reasoning == ["a", "b"]
    assert "reasoning" in program.constructor_arguments()["signature"].output_fields


@pytest.mark.parametrize(
    ("make", "signature", "name"),
    [
        (Predict, "self -> answer", "self"),
        (Predict, "question -> self", "self"),
        (ReAct, "trajectory -> answer", "trajectory"),
        (ReAct, "question -> trajectory", "trajectory"),
        (ReAct, "next_thought -> answer", "next_thought"),
        (ChainOfThought, "reasoning -> answer", "reasoning"),
        (MultiChainComparison, "completions -> answer", "completions"),
    ],
)
def test_a_name_that_a_program_needs_itself_is_refused_when_it_is_declared(make, signature, name):
    with pytest.raises(SignatureError, match=f"'{name}'"):
        make(signature, *([[]] if make is ReAct else []))
