"""`Faithfulness` and `ConversationJudge`: claims against a context, and whole conversations."""

import cloudpickle
import pytest

from dspex_core import (
    ConfigurationError,
    ConversationJudge,
    Example,
    Faithfulness,
    History,
    JudgeError,
    Prediction,
    ScriptedLM,
    context,
    converse,
    load,
)

ROW = Example(question="Where is it?").with_inputs("question")
RAG = Prediction(context=["Paris lies on the Seine.", "It has 2 million people."], reasoning="hm", answer="In Paris.")


def model(claims, supported):
    """Return an LM that finds these claims, and answers whether each is supported by the claim's text."""

    def script(request):
        shown = request.messages[-1].text
        if "[[ ## claims ## ]]" in request.messages[0].text:
            return {"claims": claims}
        [answer] = [value for claim, value in supported.items() if f"\n{claim}\n" in shown]
        return {"reasoning": f"it says {answer}", "supported": answer}

    return ScriptedLM(script)


def test_the_score_is_the_share_of_supported_claims_and_the_feedback_lists_the_others():
    lm = model(
        ["Paris is old.", "Paris is on the Seine.", " "], {"Paris is old.": "no", "Paris is on the Seine.": "yes"}
    )
    with context(lm=lm):
        score = Faithfulness()(ROW, RAG)
    assert score.value == 0.5
    assert "1 of 2 claims" in score.feedback
    assert "Paris is old. (it says no)" in score.feedback
    assert "Paris is on the Seine" not in score.feedback
    assert [entry["supported"] for entry in score.details["claims"]] == [False, True]


def test_each_claim_is_checked_against_the_whole_context_alone():
    lm = model(["One.", "Two."], {"One.": "yes", "Two.": "yes"})
    with context(lm=lm):
        assert Faithfulness()(ROW, RAG).value == 1.0
    extracted, first, second = (call["messages"][-1]["content"] for call in lm.history)
    assert "In Paris." in extracted
    assert "Seine" not in extracted
    assert "hm" not in extracted
    assert all("Seine" in text and "2 million" in text for text in (first, second))
    assert "Two." not in first


def test_a_prediction_in_which_no_claim_is_found_is_an_error_unless_its_score_is_given():
    with context(lm=model([], {})):
        with pytest.raises(JudgeError, match="no claims to check"):
            Faithfulness()(ROW, RAG)
        assert Faithfulness(no_claims=1.0)(ROW, RAG).value == 1.0


def test_the_context_may_be_the_examples_and_must_not_be_empty():
    row = Example(question="q", passages="The Seine.").with_inputs("question")
    with context(lm=model(["One."], {"One.": "yes"})):
        assert Faithfulness("passages")(row, Prediction(answer="One.")).value == 1.0
        with pytest.raises(ConfigurationError, match="empty"):
            Faithfulness()(ROW, RAG.copy(context=[]))
        with pytest.raises(ConfigurationError, match="'context'; there are: question, answer"):
            Faithfulness()(ROW, Prediction(answer="x"))


def test_both_are_saved_and_loaded_as_any_program(tmp_path):
    for judge in (Faithfulness("docs", fields=["answer"], no_claims=0.5), ConversationJudge("kind", turns="chat")):
        judge.save(tmp_path, save_program=True)
        for copy in (load(tmp_path), cloudpickle.loads(cloudpickle.dumps(judge))):
            assert copy.constructor_arguments() == judge.constructor_arguments()


MESSAGES = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi there"}]


@pytest.mark.parametrize(
    "judged",
    [
        MESSAGES,
        [("user", "Hello"), ("assistant", "Hi there")],
        Prediction(history=History(messages=MESSAGES)),
        History(messages=[{"user": "Hello", "assistant": "Hi there"}]),
        converse(lambda text, history: "Hi there", ["Hello"], user_field="text"),
    ],
    ids=["messages", "pairs", "field", "history", "conversation"],
)
def test_a_conversation_is_judged_turn_by_turn_as_one_text(judged):
    lm = ScriptedLM([{"reasoning": "r", "score": 5}])
    with context(lm=lm):
        assert ConversationJudge("kind")(Example(), judged).value == 1.0
    shown = lm.history[-1]["messages"][-1]["content"]
    assert "[turn 1] user: Hello" in shown
    assert "assistant: Hi there" in shown


@pytest.mark.parametrize("judged", [Prediction(answer="x"), [], History(), "text"])
def test_what_is_not_a_conversation_is_refused(judged):
    with pytest.raises(ConfigurationError, match="needs a conversation"):
        ConversationJudge("kind")(Example(), judged)
