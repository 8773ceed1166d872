"""ReAct: an agent that thinks and calls tools in turns."""

import asyncio
import json
import time

import pydantic
import pytest

import dspex_core
from dspex_core import (
    ArtifactError,
    BaseLM,
    ChatAdapter,
    ConfigurationError,
    ContextWindowExceededError,
    JSONAdapter,
    LMOutput,
    Module,
    Predict,
    ReAct,
    ScriptedLM,
    Tool,
    ToolRegistry,
    context,
    load,
)
from dspex_core.messages import FunctionCall


def weather(city: str, day: str = "today") -> str:
    """Tell the weather."""
    return f"sunny in {city} {day}"


async def population(city: str) -> int:
    """Count the people."""
    return {"Oslo": 717_710}[city]


class Trip(pydantic.BaseModel):
    start: str
    stops: list[str] = []


def plan(trip: Trip) -> dict[str, str]:
    """Plan a trip."""
    return {"from": trip.start, "to": trip.stops[-1]}


def turn(thought, name, **args):
    return {"next_thought": thought, "next_tool_name": name, "next_tool_args": args}


ANSWER = {"reasoning": "I saw it", "answer": "sunny"}
RUN = [turn("look", "weather", city="Oslo"), turn("enough", "finish"), ANSWER]


def ways():
    return pytest.mark.parametrize("call", [lambda p, **i: p(**i), lambda p, **i: asyncio.run(p.acall(**i))])


@ways()
def test_it_acts_until_it_is_done_and_answers(call):
    agent = ReAct("question -> answer", [weather])
    with context(lm=ScriptedLM(RUN)):
        prediction = call(agent, question="How is it?")
    assert prediction.answer == "sunny"
    assert prediction.trajectory == {
        "thought_0": "look",
        "tool_name_0": "weather",
        "tool_args_0": {"city": "Oslo"},
        "observation_0": "sunny in Oslo today",
        "thought_1": "enough",
        "tool_name_1": "finish",
        "tool_args_1": {},
        "observation_1": "Completed.",
    }
    assert prediction.get_tool_errors() == ()
    assert len(agent.history) == 3


@ways()
def test_tools_may_be_async_models_and_programs(call):
    translate = Predict("text -> translation")
    agent = ReAct("question -> answer", [population, plan, Tool(translate, name="translate")])
    replies = [
        turn("count", "population", city="Oslo"),
        turn("plan", "plan", trip={"start": "Oslo", "stops": ["Bergen", "Voss"]}),
        turn("say", "translate", text="hei"),
        {"translation": "hi"},
        turn("enough", "finish"),
        ANSWER,
    ]
    with context(lm=ScriptedLM(replies)):
        trajectory = call(agent, question="?").trajectory
    assert trajectory["observation_0"] == 717_710
    assert trajectory["observation_1"] == {"from": "Oslo", "to": "Voss"}
    assert trajectory["observation_2"].translation == "hi"


def test_a_prompt_shows_the_tools_and_what_was_seen():
    with context(lm=ScriptedLM(RUN)):
        agent = ReAct("question -> answer", [weather, population])
        agent(question="How is it?")
    first, second, last = (entry.request.messages for entry in agent.history)
    for tool in ("weather: Tell the weather", "city (str)", "day (str, 'today' by default)", "population", "finish"):
        assert tool in first[0].text
    assert "sunny in Oslo" not in first[-1].text
    for shown in ("thought_0: look", "tool_name_0: weather", '{"city": "Oslo"}', "observation_0: sunny in Oslo today"):
        assert shown in second[-1].text
        assert shown in last[-1].text


def raising(city: str) -> str:
    """Raise."""
    raise LookupError(f"no station in {city}")


def hanging(city: str) -> str:
    """Hang."""
    time.sleep(600)
    return city


async def hanging_async(city: str) -> str:
    """Hang."""
    await asyncio.sleep(600)
    return city


def huge(city: str) -> str:
    """Return 10 MB."""
    return city * 2_500_000


class Odd:
    def __repr__(self):
        return "<something odd>"


def odd(city: str) -> object:
    """Return what is no JSON."""
    return Odd()


@ways()
@pytest.mark.parametrize(
    ("tool", "args", "observation", "kind"),
    [
        (raising, {"city": "Oslo"}, "raising failed: LookupError: no station in Oslo", "raised"),
        (Tool(hanging, timeout=0.05), {"city": "Oslo"}, "hanging failed: it was not done within 0.05 s", "timeout"),
        (Tool(hanging_async, timeout=0.05), {"city": "Oslo"}, "not done within 0.05 s", "timeout"),
        (weather, {}, "weather failed: the arguments do not fit: 'city' is missing", "arguments"),
        (weather, {"city": "Oslo", "year": 3}, "'year' is unknown", "arguments"),
        (plan, {"trip": {"stops": 3}}, "'trip.start' is missing", "arguments"),
    ],
)
def test_what_goes_wrong_with_a_tool_is_an_observation_and_the_agent_goes_on(call, tool, args, observation, kind):
    agent = ReAct("question -> answer", [tool])
    name = next(iter(agent.tools))
    with context(lm=ScriptedLM([turn("try", name, **args), turn("enough", "finish"), ANSWER])):
        prediction = call(agent, question="?")
    assert prediction.answer == "sunny"
    assert observation in prediction.trajectory["observation_0"]
    [error] = prediction.get_tool_errors()
    assert (error.tool, error.args, error.kind) == (name, args, kind)
    assert error.reason in agent.history[1].request.messages[-1].text


@pytest.mark.parametrize(("tool", "shown"), [(huge, "characters are left out"), (odd, "<something odd>")])
def test_a_prompt_shows_of_a_result_what_it_can(tool, shown):
    agent = ReAct("question -> answer", [tool], max_observation_chars=1000)
    with context(lm=ScriptedLM([turn("try", tool.__name__, city="Oslo"), turn("enough", "finish"), ANSWER])):
        agent(question="?")
    prompt = agent.history[-1].request.messages[-1].text
    assert shown in prompt
    assert len(prompt) < 3000


def test_a_reply_that_cannot_be_read_ends_the_turns_and_the_agent_answers():
    agent = ReAct("question -> answer", [weather])
    replies = [RUN[0], "I am lost", "still lost", ANSWER]
    with context(lm=ScriptedLM(replies)):
        prediction = agent(question="?")
    assert prediction.answer == "sunny"
    assert list(prediction.trajectory)[-1] == "observation_0"


@pytest.mark.parametrize("override", [{}, {"max_iters": 2}])
def test_it_takes_no_more_turns_than_allowed(override):
    agent = ReAct("question -> answer", [weather], max_iters=2 if not override else 20)
    with context(lm=ScriptedLM([RUN[0], RUN[0], ANSWER])):
        assert len(agent(question="?", **override).trajectory) == 8


class SmallContext(ScriptedLM):
    """An LM whose prompts may have only so many characters."""

    def __init__(self, script, room):
        super().__init__(script)
        self.room = room
        self.refused = 0

    def complete(self, request):
        if len(request.messages[-1].text) > self.room:
            self.refused += 1
            raise ContextWindowExceededError("too long")
        return super().complete(request)


def test_when_the_context_is_full_prompts_lose_the_oldest_turns_and_the_trajectory_none():
    agent = ReAct("question -> answer", [Tool(lambda city: city * 100, name="echo")])
    replies = [*(turn(f"turn {n}", "echo", city=f"c{n}..") for n in range(6)), turn("enough", "finish"), ANSWER]
    lm = SmallContext(replies, room=2100)
    with context(lm=lm):
        prediction = agent(question="?")
    assert lm.refused > 0
    assert len(prediction.trajectory) == 7 * 4
    shown = agent.history[-1].request.messages[-1].text
    assert "turn 0" not in shown
    assert "turn 5" in shown


def test_when_not_even_one_turn_fits_the_agent_says_so():
    agent = ReAct("question -> answer", [Tool(lambda city: city * 1000, name="echo")])
    lm = SmallContext([turn("once", "echo", city="long"), ANSWER], room=2000)
    with context(lm=lm), pytest.raises(ContextWindowExceededError):
        agent(question="?")


def test_a_subclass_may_choose_what_is_left_out():
    class Forgetful(ReAct):
        def truncate_trajectory(self, trajectory):
            return {}

    agent = Forgetful("question -> answer", [Tool(lambda city: city * 1000, name="echo")])
    lm = SmallContext([turn("once", "echo", city="long"), turn("enough", "finish"), ANSWER], room=2000)
    with context(lm=lm):
        assert agent(question="?").answer == "sunny"


def test_a_subclass_may_show_a_shorter_value():
    class Brief(ReAct):
        def truncate_trajectory(self, trajectory):
            return {**trajectory, "observation_0": "a lot of c"}

    agent = Brief("question -> answer", [Tool(lambda city: city * 2000, name="echo")])
    lm = SmallContext([turn("once", "echo", city="c"), turn("enough", "finish"), ANSWER], room=2000)
    with context(lm=lm):
        prediction = agent(question="?")
    assert "observation_0: a lot of c\n" in agent.history[-1].request.messages[-1].text
    assert prediction.trajectory["observation_0"] == "c" * 2000


def test_a_result_is_written_once_however_many_prompts_show_it():
    written = []

    class Large:
        def __str__(self):
            written.append(self)
            return "large"

    agent = ReAct("question -> answer", [Tool(Large, name="find")])
    with context(lm=ScriptedLM([turn("look", "find"), turn("again", "find"), turn("enough", "finish"), ANSWER])):
        agent(question="?")
    assert len(written) == 2
    assert agent.history[-1].request.messages[-1].text.count("large") == 2


def test_the_tools_of_a_registry_are_those_of_its_session():
    registry = ToolRegistry([weather])
    with registry.scope() as session:
        session.register(population)
        agent = ReAct("question -> answer", session)
        assert list(agent.tools) == ["weather", "population", "finish"]
    with context(lm=ScriptedLM([turn("count", "population", city="Oslo"), turn("enough", "finish"), ANSWER])):
        prediction = agent(question="?")
    assert "there is no such tool" in prediction.trajectory["observation_0"]
    assert prediction.get_tool_errors()[0].kind == "unknown_tool"


def test_no_tool_may_have_the_name_by_which_the_agent_ends():
    with pytest.raises(ConfigurationError, match="'finish'"):
        ReAct("question -> answer", [Tool(weather, name="finish")])


def test_state_and_copies_keep_to_the_usual_paths(tmp_path):
    agent = ReAct("question -> answer", [weather])
    assert [name for name, _ in agent.named_predictors()] == ["react", "extract.predict"]
    agent.react.demos = [{"question": "q", "trajectory": "", **RUN[0]}]
    agent.save(tmp_path / "agent.json")
    other = ReAct("question -> answer", [weather])
    other.load(tmp_path / "agent.json")
    assert other.react.demos[0]["next_thought"] == "look"
    assert agent.deepcopy().tools["weather"] is agent.tools["weather"]


def test_an_agent_of_functions_is_saved_as_a_whole(tmp_path):
    agent = ReAct("question -> answer", [weather, population], max_iters=3)
    agent.save(tmp_path, save_program=True)
    again = load(tmp_path, allow_import=True)
    assert list(again.tools) == ["weather", "population", "finish"]
    assert again.max_iters == 3
    with pytest.raises(ArtifactError):
        ReAct("question -> answer", [Tool(lambda: 1, name="one")]).save(tmp_path, save_program=True)


def test_the_trace_has_each_turn_and_the_answer():
    agent = ReAct("question -> answer", [weather])
    with context(lm=ScriptedLM(RUN), trace=[]) as settings:
        agent(question="?")
    assert [predictor for predictor, _, _ in settings.trace] == [agent.react, agent.react, agent.extract.predict]


# Models that call functions themselves.

NATIVE = [JSONAdapter(), ChatAdapter(use_native_function_calling=True)]


def calls(*wanted, text=""):
    asked = [FunctionCall(name, json.dumps(args), f"id{n}") for n, (name, args) in enumerate(wanted)]
    return LMOutput(text, tool_calls=tuple(asked))


def native_lm(replies):
    return ScriptedLM(replies, supports_function_calling=True)


@ways()
@pytest.mark.parametrize("adapter", NATIVE, ids=repr)
def test_a_model_that_calls_functions_does_so_and_sees_their_results_as_such(call, adapter):
    agent = ReAct("question -> answer", [weather, population])
    replies = [
        calls(("weather", {"city": "Oslo"}), ("population", {"city": "Oslo"}), text="I will look."),
        calls(("population", {"city": "Atlantis"})),
        calls(("finish", {})),
        ANSWER,
    ]
    lm = native_lm(replies)
    with context(lm=lm, adapter=adapter):
        prediction = call(agent, question="How is it?")
    assert prediction.answer == "sunny"
    trajectory = prediction.trajectory
    assert [trajectory[f"tool_name_{n}"] for n in range(4)] == ["weather", "population", "population", "finish"]
    assert [trajectory[f"thought_{n}"] for n in range(2)] == ["I will look.", ""]
    assert [trajectory[f"observation_{n}"] for n in range(2)] == ["sunny in Oslo today", 717_710]
    assert [error.tool for error in prediction.get_tool_errors()] == ["population"]
    first, second, third, _ = [entry.request for entry in lm.history]
    assert [tool.name for tool in first.tools] == ["weather", "population", "finish"]
    assert [message.role for message in first.messages] == ["system", "user"]
    assert [message.role for message in second.messages] == ["system", "user", "assistant", "tool", "tool"]
    assert [message.role for message in third.messages[-2:]] == ["assistant", "tool"]
    assert second.messages[3].text == "sunny in Oslo today"
    assert "How is it?" in second.messages[1].text
    assert "KeyError" in third.messages[-1].text


def test_a_model_that_calls_nothing_is_done():
    agent = ReAct("question -> answer", [weather])
    with context(lm=native_lm([LMOutput("It is sunny, I know."), ANSWER]), adapter=JSONAdapter()):
        prediction = agent(question="?")
    assert prediction.trajectory["thought_0"] == "It is sunny, I know."
    assert prediction.trajectory["tool_name_0"] == "finish"


def test_the_trace_of_native_calls_is_that_of_the_written_form():
    agent = ReAct("question -> answer", [weather])
    replies = [calls(("weather", {"city": "Oslo"})), calls(("finish", {})), ANSWER]
    with context(lm=native_lm(replies), adapter=JSONAdapter(), trace=[]) as settings:
        agent(question="?")
    assert [predictor for predictor, _, _ in settings.trace] == [agent.react, agent.react, agent.extract.predict]
    _, inputs, prediction = settings.trace[1]
    assert inputs["trajectory"].startswith("thought_0: ")
    assert prediction.next_tool_name == "finish"


def test_a_compiled_agent_keeps_to_the_form_that_it_was_compiled_for():
    agent = ReAct("question -> answer", [weather])
    agent.react.demos = [{"question": "q", "trajectory": "", **RUN[0]}]
    lm = native_lm(RUN)
    with context(lm=lm, adapter=JSONAdapter()):
        assert agent(question="?").answer == "sunny"
    assert not lm.history[0].request.tools


def test_a_conversation_that_is_too_long_loses_its_oldest_turns():
    class Small(SmallContext):
        supports_function_calling = True

        def complete(self, request):
            if request.tools and len(request.messages) > 6:
                self.refused += 1
                raise ContextWindowExceededError("too long")
            return ScriptedLM.complete(self, request)

    agent = ReAct("question -> answer", [weather])
    replies = [*(calls(("weather", {"city": f"c{n}"})) for n in range(4)), calls(("finish", {})), ANSWER]
    lm = Small(replies, room=0)
    with context(lm=lm, adapter=JSONAdapter()):
        prediction = agent(question="?")
    assert lm.refused == 2
    assert len(prediction.trajectory) == 5 * 4
    last = lm.history[-2].request.messages
    assert "c0" not in "".join(message.text for message in last)
    assert "question" in last[1].text


class Routed(Module):
    def __init__(self):
        self.agent = ReAct("question -> answer", [weather])

    def forward(self, question):
        return self.agent(question=question)


def test_an_agent_inside_a_program_is_a_module_like_others():
    program = Routed()
    assert [name for name, _ in program.named_predictors()] == ["agent.react", "agent.extract.predict"]
    lm = ScriptedLM(RUN)
    program.set_lm(lm)
    assert program(question="?").answer == "sunny"
    assert isinstance(program.get_lm(), BaseLM)
    assert dspex_core.ReAct is ReAct


@pytest.mark.parametrize("tools", [weather, {"weather": weather}, "weather", None])
def test_tools_that_are_no_list_are_an_error_that_says_so(tools):
    with pytest.raises(ConfigurationError, match="tools are given as a list"):
        ReAct("question -> answer", tools)
