"""Conversations with a program: scripts of user turns, simulated users, histories in OpenAI's form."""

import pytest

from dspex_core import (
    ChatAdapter,
    ConfigurationError,
    History,
    Predict,
    ScriptedLM,
    Signature,
    SignatureError,
    SimulatedUser,
    context,
    converse,
)
from dspex_core.signatures.signature import InputField, OutputField


class Support(Signature):
    """Answer the customer."""

    history: History = InputField()
    question: str = InputField()
    answer: str = OutputField()


def test_each_turn_has_the_earlier_ones_as_its_history():
    asked = []

    def reply(request):
        asked.append([message.role for message in request.messages])
        return {"answer": f"reply {len(asked)}"}

    with context(lm=ScriptedLM(reply)):
        conversation = converse(Predict(Support), ["one", "two", "three"])

    assert asked == [["system", *["user", "assistant"] * earlier, "user"] for earlier in range(3)]
    assert conversation.answer == "reply 3"
    assert [(turn.user, turn.reply) for turn in conversation.turns] == [
        ("one", "reply 1"),
        ("two", "reply 2"),
        ("three", "reply 3"),
    ]
    assert conversation.messages[:2] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "reply 1"},
    ]


def test_a_function_gets_openais_messages():
    seen = []

    def program(question, history, tone):
        seen.append((question, len(history), tone))
        return question.upper()

    conversation = converse(program, ["a", "b"], tone="kind")

    assert seen == [("a", 0, "kind"), ("b", 2, "kind")]
    assert [turn.reply for turn in conversation.turns] == ["A", "B"]


def test_the_script_says_what_to_expect():
    script = [
        {"user": "a", "expect": "Parcel  is"},
        {"user": "b", "expect": "refund"},
        {"user": "c", "expect": {"answer": "your parcel is on its way", "intent": "delivery"}},
        "d",
    ]
    with context(lm=ScriptedLM(lambda _: {"answer": "Your parcel is on its way"})):
        conversation = converse(Predict(Support), script)

    assert conversation.problems == [
        "turn 2 ('b'): expected 'refund' in the reply, which is 'Your parcel is on its way'",
        "turn 3 ('c'): expected intent='delivery', got None",
    ]


def test_a_simulated_user_talks_until_the_goal_is_reached():
    said = iter([("Hello", False), ("Order 4417", False), ("", True)])
    player = ScriptedLM(lambda _: dict(zip(("message", "is_the_end"), next(said), strict=True)))
    with context(lm=ScriptedLM(lambda _: {"answer": "ok"})):
        conversation = converse(Predict(Support), SimulatedUser("Find out where order 4417 is.", lm=player))

    assert [turn.user for turn in conversation.turns] == ["Hello", "Order 4417"]
    assert "order 4417" in str(player.history[0].request.messages)


def test_a_simulated_user_stops_after_the_most_turns():
    lm = ScriptedLM(lambda request: {"answer": "ok", "message": "more", "is_the_end": False})
    with context(lm=lm):
        conversation = converse(Predict(Support), SimulatedUser("Never content.", max_turns=3))

    assert len(conversation.turns) == 3


@pytest.mark.parametrize(
    ("program", "script", "reason"),
    [
        (Predict(Support), [], "needs at least one turn"),
        (Predict(Support), "hello", "are a list of texts, not 'hello'"),
        (Predict(Support), ["a", 5], "turn 2 is 5"),
        (Predict(Support), [{"text": "a"}], "turn 1 is {'text': 'a'}"),
        (Predict("question -> answer"), ["a"], "one for the history; its inputs: 'question'"),
        (Predict("question, tone, history: History -> answer"), ["a"], "name them with user_field="),
    ],
)
def test_what_is_not_a_conversation_is_one_message(program, script, reason):
    with (
        context(lm=ScriptedLM(lambda _: {"answer": "ok"})),
        pytest.raises(ConfigurationError, match=reason),
    ):
        converse(program, script)


@pytest.mark.parametrize("turns", [0, -1, "five"])
def test_the_most_turns_are_a_positive_number(turns):
    with pytest.raises(ConfigurationError, match="max_turns"):
        SimulatedUser("goal", max_turns=turns)


OPENAI = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "On its way."}]


@pytest.mark.parametrize("history", [OPENAI, History(messages=OPENAI), {"messages": OPENAI}])
def test_a_history_in_openais_form_is_shown_as_it_is(history):
    messages = ChatAdapter().format(Support, [], {"history": history, "question": "When?"})

    assert messages[1:-1] == OPENAI


def test_a_message_of_another_role_is_one_message():
    with pytest.raises(SignatureError, match="role 'tool' cannot stand in a history"):
        ChatAdapter().format(Support, [], {"history": [{"role": "tool", "content": "x"}], "question": "When?"})
