"""What tests and notebooks put in the place of a program's parts or methods answers in DSPy and in ours."""

import asyncio
from unittest import mock

import pytest
from both import asking, chat, in_real, scripted, sent_to, uses

use, USES = uses()


def look_up(x: int) -> str:
    """Look a number up."""
    return f"got {x}"


def turn(dspy, name, **args):
    return dspy.Prediction(next_thought="t", next_tool_name=name, next_tool_args=args)


def reply(text):
    import litellm

    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return litellm.ModelResponse(model="gpt-4o-mini", choices=[choice], usage=usage)


def own_chain(dspy):
    class Own(dspy.Module):
        def __init__(self):
            super().__init__()
            self.chain = dspy.ChainOfThought("q -> a")

        def forward(self, q):
            return self.chain(q=q)

    return Own()


def real_lm(dspy):
    return dspy.context(lm=dspy.LM("openai/gpt-4o-mini", cache=False), adapter=dspy.ChatAdapter())


@use
def functions_in_an_agent(dspy):
    agent, turns = dspy.ReAct("q -> a", tools=[look_up]), [turn(dspy, "look_up", x=1), turn(dspy, "finish")]
    agent.react = lambda **inputs: turns.pop(0)
    agent.extract = lambda **inputs: dspy.Prediction(a=inputs["q"] + "!")
    found = agent(q="1")
    return found.a, found.trajectory


@use
def mocks_in_an_agent(dspy):
    agent = dspy.ReAct("q -> a", tools=[look_up])
    agent.react = mock.MagicMock(side_effect=[turn(dspy, "finish")])
    agent.extract = mock.Mock(return_value=dspy.Prediction(a="A"))
    return agent(q="1").a, agent.react.call_count, agent.extract.call_args.kwargs["q"]


@use
def an_agent_whose_trajectory_gets_too_long(dspy):
    agent, shown = dspy.ReAct("q -> a", tools=[look_up], max_iters=2), []

    def act(**inputs):
        shown.append(inputs["trajectory"])
        if len(shown) > 1:
            raise dspy.ContextWindowExceededError(model="m")
        return turn(dspy, "look_up", x=1)

    agent.react = act
    agent.extract = lambda **inputs: dspy.Prediction(a="A")
    return agent(q="1").a, len(shown)


@use
def an_agent_that_cannot_shorten_its_trajectory(dspy):
    def refuse(**inputs):
        raise dspy.ContextWindowExceededError(model="m")

    agent = dspy.ReAct("q -> a", tools=[look_up])
    agent.react = agent.extract = refuse
    with pytest.raises(dspy.ContextWindowExceededError):
        agent(q="1")


@use
def a_function_in_a_chain(dspy):
    chain = dspy.ChainOfThought("q -> a")
    chain.predict = lambda **inputs: dspy.Prediction(a=inputs["q"] + "!")
    return chain(q="1").a


@use
def a_predictor_with_its_own_call(dspy):
    class Own(dspy.Predict):
        def __call__(self, **inputs):
            return dspy.Prediction(a="own", reasoning="")

    chain = dspy.ChainOfThought("q -> a")
    chain.predict = Own("q -> a")
    return chain(q="1").a


@use
def a_program_with_its_own_call_in_an_agent(dspy):
    class Own(dspy.Module):
        def __call__(self, **inputs):
            return dspy.Prediction(a="own")

    agent = dspy.ReAct("q -> a", tools=[look_up])
    agent.react, agent.extract = (lambda **_: turn(dspy, "finish")), Own()
    return agent(q="1").a


@use
def a_function_in_a_comparison(dspy):
    compare = dspy.MultiChainComparison("q -> a", M=2)
    compare.predict = lambda **inputs: dspy.Prediction(a=sorted(inputs))
    return compare([{"reasoning": "x", "a": "1"}, {"reasoning": "y", "a": "2"}], q="1").a


@use
def forward_of_one_program(dspy):
    predict, chain = dspy.Predict("q -> a"), dspy.ChainOfThought("q -> a")
    predict.forward = lambda **inputs: dspy.Prediction(a="own")
    chain.predict.forward = predict.forward
    return predict(q="1").a, chain(q="1").a


@use
def forward_of_one_program_for_a_block(dspy):
    program = own_chain(dspy)
    with mock.patch.object(program.chain, "forward", return_value=dspy.Prediction(a="m")) as forward:
        return program(q="1").a, forward.call_args.kwargs


@use
def aforward_of_one_program(dspy):
    predict = dspy.Predict("q -> a")
    predict.aforward = mock.AsyncMock(return_value=dspy.Prediction(a="m"))
    return asyncio.run(predict.acall(q="1")).a


@use
def the_call_of_all_predictors(dspy):
    with mock.patch.object(dspy.Predict, "__call__", return_value=dspy.Prediction(a="m")):
        return dspy.Predict("q -> a")(q="1").a, dspy.ChainOfThought("q -> a")(q="1").a


@use
def forward_of_all_predictors_for_a_block(dspy):
    with mock.patch.object(dspy.Predict, "forward", return_value=dspy.Prediction(a="m")):
        mocked = dspy.Predict("q -> a")(q="1").a, dspy.ChainOfThought("q -> a")(q="1").a, own_chain(dspy)(q="1").a
    with asking(dspy, [{"a": "z"}]):
        return mocked, dspy.Predict("q -> a")(q="1").a


@use
def the_async_methods_of_all_predictors(dspy):
    found = []
    for method in ("aforward", "acall"):
        with mock.patch.object(dspy.Predict, method, new=mock.AsyncMock(return_value=dspy.Prediction(a=method))):
            found += [asyncio.run(make("q -> a").acall(q="1")).a for make in (dspy.Predict, dspy.ChainOfThought)]
    return found


@use
def the_call_of_all_lms(dspy):
    with mock.patch.object(dspy.LM, "__call__", return_value=[chat(a="z")]) as call, real_lm(dspy):
        return dspy.Predict("q -> a")(q="1").a, call.call_count


@use
def acall_of_all_lms(dspy):
    with mock.patch.object(dspy.LM, "acall", new=mock.AsyncMock(return_value=[chat(a="z")])), real_lm(dspy):
        return asyncio.run(dspy.Predict("q -> a").acall(q="1")).a


@use
def forward_of_all_lms(dspy):
    with mock.patch.object(dspy.LM, "forward", return_value=reply(chat(a="z"))), real_lm(dspy):
        return dspy.Predict("q -> a")(q="1").a, dspy.LM("openai/gpt-4o-mini")("hi") == [chat(a="z")]


@use
def forward_of_one_lm(dspy):
    lm = dspy.LM("openai/gpt-4o-mini")
    lm.forward = lambda *args, **arguments: reply("Hello.")
    return lm("hi")


@use
def the_call_of_all_adapters(dspy):
    with mock.patch.object(dspy.ChatAdapter, "__call__", return_value=[{"a": "m"}]), asking(dspy, []):
        return dspy.Predict("q -> a")(q="1").a


@use
def the_prompt_of_all_adapters(dspy):
    lm, written = scripted(dspy, [chat(a="z")]), [{"role": "user", "content": "patched"}]
    settings = {"lm": lm, "adapter": dspy.ChatAdapter()}
    with mock.patch.object(dspy.ChatAdapter, "format", return_value=written), dspy.context(**settings):
        return dspy.Predict("q -> a")(q="1").a, sent_to(lm)


@use
def the_reading_of_all_adapters(dspy):
    with mock.patch.object(dspy.ChatAdapter, "parse", return_value={"a": "m"}), asking(dspy, [{"a": "z"}]):
        return dspy.Predict("q -> a")(q="1").a


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)


@pytest.mark.parametrize("make", ["ProgramOfThought", "RLM", "CodeAct"])
def test_functions_in_programs_that_run_code(ours, make):  # DSPy's need Deno
    program = {
        "ProgramOfThought": lambda: ours.ProgramOfThought("q -> a"),
        "RLM": lambda: ours.RLM("q -> a"),
        "CodeAct": lambda: ours.CodeAct("q -> a", tools=[look_up]),
    }[make]()
    written = ours.Prediction(reasoning="r", code="SUBMIT(a='3')", generated_code="SUBMIT({'a': '3'})", finished=True)
    for name in ("code_generate", "generate_action", "codeact"):
        if name in vars(program):
            setattr(program, name, lambda **inputs: written)
    for name in ("generate_output", "extractor"):
        if name in vars(program):
            setattr(program, name, lambda **inputs: ours.Prediction(a="3"))

    assert program(q="1").a == "3"
