"""Tool calls of agents: their order and their arguments, in any form that they come in."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import Example, Prediction, ReAct, ScriptedLM, ToolCalls, context
from dspex_core.errors import ConfigurationError
from dspex_core.metrics import at_least, f1, fuzzy_match, trajectory_match


def call(name, **args):
    return {"name": name, "args": args}


SEARCH, READ, SEND = call("search", query="otters"), call("read", page=3), call("send", to="ann", urgent=True)


def score(wanted, found, **options):
    return trajectory_match("calls", **options)(Example(calls=wanted), Prediction(calls=found))


@pytest.mark.parametrize(
    ("wanted", "found", "right"),
    [
        ([SEARCH, READ], [SEARCH, READ], {"exact", "subsequence", "any_order", "superset"}),
        ([SEARCH, READ], [READ, SEARCH], {"any_order", "superset"}),
        ([SEARCH, READ], [SEARCH, SEND, READ], {"subsequence", "superset"}),
        ([SEARCH, READ], [READ, SEND, SEARCH], {"superset"}),
        ([SEARCH, SEARCH], [SEARCH], set()),
        ([SEARCH], [SEARCH, SEARCH], {"subsequence", "superset"}),
        ([SEARCH], [], set()),
        ([], [], {"exact", "subsequence", "any_order", "superset"}),
        ([], [SEARCH], {"subsequence", "superset"}),
        (["search", "read"], [SEARCH, READ], {"exact", "subsequence", "any_order", "superset"}),
        (["search"], [READ], set()),
    ],
)
def test_calls_are_compared_in_four_orders(wanted, found, right):
    for order in ("exact", "subsequence", "any_order", "superset"):
        assert score(wanted, found, order=order).value == (order in right), order


@pytest.mark.parametrize(
    ("args", "wanted", "given", "right"),
    [
        ("exact", {"q": "a"}, {"q": "a"}, True),
        ("exact", {"q": "a"}, {"q": "A"}, False),
        ("exact", {"q": "a"}, {"q": "a", "n": 1}, False),
        ("exact", {"q": "a", "n": None}, {"q": "a"}, False),
        ("exact", {"n": 3, "deep": {"x": [1]}}, {"n": 3.0, "deep": {"x": [1]}}, True),
        ("subset", {"q": "a"}, {"q": "a", "n": 1}, True),
        ("subset", {"q": "a", "n": 1}, {"q": "a"}, False),
        ("subset", {"q": "a"}, {"q": "b", "n": 1}, False),
        ("ignore", {"q": "a"}, {"x": 1}, True),
        (fuzzy_match("q"), {"q": "sea otters"}, {"q": "Sea otter"}, True),
        (fuzzy_match("q"), {"q": "sea otters"}, {"q": "stones"}, False),
        (f1("q"), {"q": "sea otters"}, {"q": "otters"}, False),  # a part is not the whole
        (at_least(f1("q"), 0.5), {"q": "sea otters"}, {"q": "otters"}, True),
    ],
)
def test_arguments_are_compared_exactly_by_a_subset_by_a_metric_or_not(args, wanted, given, right):
    assert score([call("t", **wanted)], [call("t", **given)], args=args).value == right


async def same_query(example, prediction, trace=None):
    return example["q"] == prediction["q"]


def test_a_metric_of_arguments_may_be_async():
    assert score([call("t", q="a")], [call("t", q="a")], args=same_query).value == 1


def test_any_order_finds_the_pairing_that_fits_all():
    # The first wanted call fits both, the second only the first: a greedy pairing would leave it over.
    wanted, found = [call("t", a=1), call("t", a=1, b=2)], [call("t", a=1, b=2), call("t", a=1)]
    assert score(wanted, found, order="any_order", args="subset").value == 1


@pytest.mark.parametrize(
    "found",
    [
        ToolCalls.from_dict_list([SEARCH]),
        {"tool_calls": [SEARCH]},
        SEARCH,
        [{"function": {"name": "search", "arguments": json.dumps({"query": "otters"})}, "id": "1", "type": "function"}],
        [{"type": "function_call", "name": "search", "arguments": '{"query": "otters"}', "call_id": "1"}],
        json.dumps([SEARCH]),
        {"thought_0": "t", "tool_name_0": "search", "tool_args_0": {"query": "otters"}, "observation_0": "o"},
        [SEARCH, call("finish")],
    ],
)
def test_calls_may_have_any_form_on_either_side(found):
    assert score([SEARCH], found).value == 1
    assert score(found, [SEARCH]).value == 1


def test_the_trajectory_of_an_agent_is_found_by_itself():
    def search(query: str) -> str:
        return f"about {query}"

    replies = [
        {"next_thought": "look", "next_tool_name": "search", "next_tool_args": {"query": "otters"}},
        {"next_thought": "enough", "next_tool_name": "finish", "next_tool_args": {}},
        {"reasoning": "It says so.", "answer": "They swim."},
    ]
    with context(lm=ScriptedLM(replies)):
        prediction = ReAct("question -> answer", [search])(question="What do otters do?")
    for row in (Example(tool_calls=[SEARCH]), Example(trajectory=["search"])):
        assert trajectory_match()(row, prediction).value == 1
    assert trajectory_match(expected="gold")(Example(gold=[SEARCH]), prediction).value == 1
    native = Prediction(tool_calls=ToolCalls.from_dict_list([SEARCH]))
    assert trajectory_match()(Example(tool_calls=[SEARCH]), native).value == 1


def test_feedback_shows_both_and_details_count():
    found = score([SEARCH, READ], [SEARCH, SEND])
    assert found.feedback == (
        "calls should be [search(query='otters'), read(page=3)] but is [search(query='otters'), "
        "send(to='ann', urgent=True)]."
    )
    assert found.details == {
        "precision": 0.5,
        "recall": 0.5,
        "missing": ["read(page=3)"],
        "additional": ["send(to='ann', urgent=True)"],
    }


@settings(max_examples=40)
@given(calls=st.lists(st.sampled_from([SEARCH, READ, SEND]), max_size=6), random=st.randoms(use_true_random=False))
def test_any_order_is_any_order(calls, random):
    shuffled = random.sample(calls, len(calls))
    assert score(calls, shuffled, order="any_order").value == 1
    assert score(calls, calls).value == 1


@pytest.mark.parametrize("value", [3, [3], [{"tool": "x"}], {"a": 1}, [None]])
def test_what_is_not_a_list_of_calls_is_named(value):
    with pytest.raises(ConfigurationError, match="trajectory_match needs a ReAct trajectory"):
        score([SEARCH], value)


def test_unknown_options_are_refused():
    with pytest.raises(ConfigurationError, match="order from exact"):
        trajectory_match(order="some")
    with pytest.raises(ConfigurationError, match="args='exact'"):
        trajectory_match(args="some")
