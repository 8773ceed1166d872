"""An agent takes the same turns in DSPy and in ours, and leaves the same behind."""

import asyncio

import pytest
import tutorials
from both import awaited, called, chat, outputs, scripted

CLAIM = "Otters and foxes are mammals."
ANSWER = chat(reasoning="Both pages say so.", titles=["otter", "fox"])


def turn(name, **args):
    return chat(next_thought=f"I call {name}.", next_tool_name=name, next_tool_args=args)


RUN = [turn("search_pages", query="mammal"), turn("lookup", title="fox", words=3), turn("finish"), ANSWER]


def both_ways(test):
    return pytest.mark.parametrize("call", [called, awaited])(test)


@both_ways
def test_the_trajectory_and_the_answer(ours, real, call):
    with real.context(allow_tool_async_sync_conversion=True):
        theirs = outputs(real, tutorials.agent, RUN, call, claim=CLAIM)

    mine = outputs(ours, tutorials.agent, RUN, call, claim=CLAIM)

    assert mine["titles"] == ["otter", "fox"]
    assert mine["trajectory"]["observation_1"] == "The fox is"
    assert mine == theirs


@both_ways
@pytest.mark.parametrize(
    "failing", [turn("lookup", title="unicorn"), turn("lookup", page=3), turn("lookup", title="fox", words="many")]
)
def test_a_tool_that_fails_is_an_observation(ours, real, call, failing):
    replies = [failing, turn("finish"), ANSWER]
    with real.context(allow_tool_async_sync_conversion=True):
        theirs = outputs(real, tutorials.agent, replies, call, claim=CLAIM)

    mine = outputs(ours, tutorials.agent, replies, call, claim=CLAIM)

    said, wanted = (found["trajectory"].pop("observation_0") for found in (mine, theirs))
    assert said.startswith("lookup failed: ")  # in words of its own
    assert "lookup" in wanted
    assert mine == theirs


@both_ways
@pytest.mark.parametrize(
    "replies",
    [
        [turn("search_pages", query="dens"), ANSWER],
        [turn("search_pages", query="dens"), turn("search_pages", query="x"), ANSWER],
    ],
)
def test_no_more_turns_than_the_call_allows(ours, real, call, replies):
    turns = len(replies) - 1

    mine = outputs(ours, tutorials.sync_agent, replies, call, claim=CLAIM, max_iters=turns)

    assert len(mine["trajectory"]) == 4 * turns
    assert mine == outputs(real, tutorials.sync_agent, replies, call, claim=CLAIM, max_iters=turns)


@both_ways
@pytest.mark.parametrize("unread", ["I do not know.", turn("no_such_tool")])
def test_a_turn_that_cannot_be_read_ends_ours_with_an_answer_and_theirs_with_the_error(ours, real, call, unread):
    replies = [turn("search_pages", query="dens"), unread, unread, ANSWER]  # the second try is the JSON fallback

    mine = outputs(ours, tutorials.sync_agent, replies, call, claim=CLAIM)

    assert (len(mine["trajectory"]), mine["titles"]) == (4, ["otter", "fox"])
    with pytest.raises(real.utils.exceptions.AdapterParseError):
        outputs(real, tutorials.sync_agent, replies, call, claim=CLAIM)


def bare(field):
    """A field's type in words, without how its values are read."""
    annotation = field.annotation
    return str(annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation)


def test_its_parts_have_the_same_names(ours, real):
    mine, theirs = (tutorials.agent(dspy) for dspy in (ours, real))

    assert [name for name, _ in mine.named_predictors()] == [name for name, _ in theirs.named_predictors()]
    assert list(mine.tools) == list(theirs.tools)
    for (_, here), (_, there) in zip(mine.named_predictors(), theirs.named_predictors(), strict=True):
        assert list(here.signature.fields) == list(there.signature.fields)
        assert [bare(field) for field in here.signature.fields.values()] == [
            bare(field) for field in there.signature.fields.values()
        ]


def test_state_of_an_optimized_agent_both_ways(ours, real, tmp_path):
    optimized = tutorials.agent(real)
    demo = {"claim": "x", "trajectory": "", "next_thought": "t", "next_tool_name": "finish", "next_tool_args": {}}
    optimized.react.demos = [real.Example(**demo)]
    optimized.extract.predict.signature = optimized.extract.predict.signature.with_instructions("Name the titles.")
    optimized.save(tmp_path / "theirs.json")

    mine = tutorials.agent(ours)
    mine.load(tmp_path / "theirs.json")
    mine.save(tmp_path / "mine.json", format="dspy")
    again = tutorials.agent(real)
    again.load(tmp_path / "mine.json")

    assert [dict(shown) for shown in mine.react.demos] == [demo]
    assert mine.extract.predict.signature.instructions == "Name the titles."
    assert [dict(shown) for shown in again.react.demos] == [demo]
    assert again.react.signature.instructions == optimized.react.signature.instructions
    assert again.extract.predict.signature.instructions == "Name the titles."


def test_bootstrapped_demos(ours, real):
    found = []
    for dspy in (ours, real):
        rows = [dspy.Example(claim=CLAIM, titles=["otter", "fox"]).with_inputs("claim")]
        replies = [turn("search_pages", query="mammal"), turn("finish"), ANSWER]
        with dspy.context(lm=scripted(dspy, replies), adapter=dspy.ChatAdapter()):
            optimizer = dspy.BootstrapFewShot(metric=right, max_bootstrapped_demos=1, max_labeled_demos=1)
            compiled = optimizer.compile(tutorials.sync_agent(dspy), trainset=rows)
        found.append([demos_of(predictor) for predictor in compiled.predictors()])

    assert len(found[0][0]) >= 1
    assert found[0] == found[1]


def right(example, prediction, trace=None):
    return prediction.titles == example.titles


def demos_of(predictor):
    """The demos without the text of the trajectory, whose layout is each library's own, and DSPy's mark."""
    return [
        {name: value for name, value in dict(demo).items() if name not in ("trajectory", "augmented")}
        for demo in predictor.demos
    ]


def told_of_tools(dspy, base):
    told = []

    class Tools(base):
        def on_tool_start(self, call_id, instance, inputs):
            told.append((instance.name, inputs))

        def on_tool_end(self, call_id, outputs, exception):
            told.append(outputs)

    with dspy.context(callbacks=[Tools()]):
        asyncio.run(dspy.Tool(tutorials.lookup_page).acall(title="fox"))
        outputs(dspy, tutorials.sync_agent, [turn("search_pages", query="mammal"), turn("finish"), ANSWER], claim="")
    return [event for event in told if event not in ("Completed.", ("finish", {"kwargs": {}}))]  # which ours calls not


def test_tools_are_told_to_callbacks(ours, real):
    mine = told_of_tools(ours, ours.BaseCallback)

    assert mine[:2] == [("lookup_page", {"kwargs": {"title": "fox"}}), "The fox is a"]
    assert len(mine) == 4
    assert mine == told_of_tools(real, real.utils.callback.BaseCallback)


def calling(name, **args):
    return chat(next_thought=f"I call {name}.", tool_calls={"tool_calls": [{"name": name, "args": args}]})


@pytest.mark.parametrize(
    "replies",
    [
        [calling("search_pages", query="mammal"), calling("submit", titles=["otter", "fox"])],
        [calling("search_pages", query="mammal"), calling("submit"), calling("submit", titles=["otter"])],
        [
            calling("nonsense"),
            chat(next_thought="I know.", tool_calls={"tool_calls": []}),
            calling("submit", titles=[]),
        ],
        [calling("search_pages", query="x")] * 4,
    ],
)
def test_an_agent_that_submits_its_answer(ours, real, replies):
    found = []
    for dspy in (ours, real):
        with dspy.context(lm=scripted(dspy, replies), adapter=dspy.ChatAdapter()):
            made = tutorials.calling_agent(dspy)(claim=CLAIM)
        calls = [[call.name for call in turn["tool_calls"].tool_calls] for turn in made.history.messages]
        found.append((made.termination_reason, made.toDict().get("titles"), calls))

    assert found[0] == found[1]
