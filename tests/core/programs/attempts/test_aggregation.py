"""MultiChainComparison, majority and KNN: one answer of many, and the nearest examples."""

import asyncio

import pytest

from dspex_core import (
    KNN,
    ChainOfThought,
    Completions,
    ConfigurationError,
    Example,
    MultiChainComparison,
    Predict,
    Prediction,
    ScriptedLM,
    context,
    load,
    majority,
    track_usage,
)


def ask(module, how, *args, **inputs):
    return module(*args, **inputs) if how == "sync" else asyncio.run(module.acall(*args, **inputs))


both = pytest.mark.parametrize("how", ["sync", "async"])
ATTEMPTS = [
    Prediction(reasoning="It is blue.\nAlways.", answer="blue"),
    {"rationale": "At night?", "answer": "black"},
    Prediction(reasoning="Mostly.", answer=["b"]),
]


class TestMultiChainComparison:
    @both
    def test_the_attempts_are_shown_and_the_answer_is_the_models(self, how):
        lm = ScriptedLM([{"rationale": "the first is right", "answer": "blue"}])
        program = MultiChainComparison("question -> answer")
        with context(lm=lm), track_usage() as usage:
            found = ask(program, how, ATTEMPTS, question="What colour is the sky?")
        assert list(found.items()) == [("rationale", "the first is right"), ("answer", "blue")]
        [entry] = program.history
        assert entry.request.config == {"temperature": 0.7}
        for text in ("What colour is the sky?", "It is blue.\nAlways.", "answer is: black", "answer is: ['b']"):
            assert text in entry.request.messages[-1].text
        assert usage.calls == 1

    @both
    def test_completions_of_one_call_can_be_compared(self, how):
        lm = ScriptedLM(
            lambda request: (
                {"reasoning": "r", "answer": "a"}
                if "reasoning_attempt_1" not in request.messages[0].text
                else {"rationale": "r", "answer": "b"}
            )
        )
        with context(lm=lm):
            completions = ask(ChainOfThought("question -> answer", n=2), how, question="q").completions
            program = MultiChainComparison("question -> answer", M=2, temperature=0.1, max_tokens=9)
            assert ask(program, how, completions=completions, question="q").answer == "b"
        assert lm.history[-1].request.config == {"temperature": 0.1, "max_tokens": 9}

    @both
    def test_another_number_of_attempts_is_refused(self, how):
        with pytest.raises(ConfigurationError, match="M=2 attempts are compared, and 3 were given"):
            ask(MultiChainComparison("question -> answer", M=2), how, ATTEMPTS, question="q")

    @pytest.mark.parametrize("attempt", [{"answer": "a"}, {"reasoning": "r"}])
    def test_an_attempt_that_lacks_a_field_is_named(self, attempt):
        with pytest.raises(ConfigurationError, match="attempt 2 needs 'answer', and 'rationale' or 'reasoning'"):
            MultiChainComparison("question -> answer", M=2)([ATTEMPTS[0], attempt], question="q")

    def test_it_has_the_predictor_and_fields_that_dspy_has(self):
        program = MultiChainComparison("question -> topic, answer", M=2)
        assert [path for path, _ in program.named_predictors()] == ["predict"]
        assert list(program.predict.signature.fields) == [
            "question",
            "reasoning_attempt_1",
            "reasoning_attempt_2",
            "rationale",
            "topic",
            "answer",
        ]
        assert program.last_key == "answer"

    def test_it_is_saved_as_a_whole(self, tmp_path):
        program = MultiChainComparison("question -> answer: int", M=2, temperature=0.2)
        program.save(tmp_path, save_program=True)
        loaded = load(tmp_path)
        assert (loaded.M, loaded.dump_state()) == (2, program.dump_state())


class TestMajority:
    def test_the_most_frequent_answer_wins_as_it_was_written_first(self):
        completions = [{"answer": "Lyon"}, {"answer": "The Paris."}, {"answer": " paris"}]
        found = majority(completions)
        assert found == Prediction(answer="The Paris.")
        assert len(found.completions) == 1

    def test_of_equally_frequent_answers_the_earlier_wins(self):
        assert majority([{"answer": text} for text in "abba"]).answer == "a"

    def test_completions_of_a_prediction_are_counted(self):
        with context(lm=ScriptedLM([{"answer": text} for text in ("x", "y", "y")])):
            prediction = Predict("question -> answer", n=3)(question="q")
        assert majority(prediction).answer == "y"
        assert majority(prediction.completions).answer == "y"

    def test_a_prediction_alone_wins(self):
        assert majority(Prediction(answer="x")).answer == "x"

    def test_the_last_field_is_compared_unless_another_is_named(self):
        completions = Completions({"topic": ["t", "u", "u"], "answer": ["a", "a", "b"]})
        assert majority(completions) == Prediction(topic="t", answer="a")
        assert majority(completions, field="topic") == Prediction(topic="u", answer="a")

    def test_answers_of_which_nothing_is_left_have_no_vote(self):
        assert majority([{"answer": text} for text in ("", "...", "x")]).answer == "x"
        assert majority([{"answer": text} for text in ("", "...")]).answer == ""

    @pytest.mark.parametrize(
        ("first", "others"), [("5", "-5"), ("35", "3.5"), ("1030", "10:30"), ("दिन", "दीन"), ("5", "\u22125")]
    )
    def test_what_is_another_answer_stays_another(self, first, others):
        assert majority([{"answer": text} for text in (first, others, others)]).answer == others

    def test_values_that_are_no_text_are_compared_as_they_are(self):
        assert majority([{"answer": value} for value in (1, [2], {"a": 3}, [2])]).answer == [2]

    def test_how_values_are_compared_can_be_said(self):
        completions = [{"answer": text} for text in ("A", "a", "b", "b")]
        assert majority(completions, normalize=None).answer == "b"
        assert majority(completions, normalize=lambda text: text if text == "A" else None).answer == "A"

    @pytest.mark.parametrize("nothing", [[], Completions({})])
    def test_nothing_to_choose_from_is_an_error(self, nothing):
        with pytest.raises(ValueError, match="no completions"):
            majority(nothing)


class TestKNN:
    questions = ("where is my parcel", "refund my money", "is the shop open", "money back refund")
    rows = tuple(Example(question=text).with_inputs("question") for text in questions)

    @both
    def test_the_nearest_examples_come_first(self, how):
        assert ask(KNN(2, self.rows), how, question="refund the money") == [self.rows[1], self.rows[3]]

    @both
    def test_any_vectorizer_will_do_and_sees_the_inputs_only(self, how):
        seen = []

        def vectors(texts):
            seen.extend(texts)
            return [[1.0, float(len(text))] for text in texts]

        assert ask(KNN(1, self.rows, vectors), how, question="is the shop shut") == [self.rows[2]]
        assert seen == [f"question: {row.question}" for row in self.rows] + ["question: is the shop shut"]

    def test_there_are_no_more_than_there_are(self):
        assert len(KNN(9, self.rows)(question="x")) == 4
        assert KNN(1, [])(question="x") == []

    def test_k_below_one_is_refused(self):
        with pytest.raises(ConfigurationError, match="k must be at least 1, not 0"):
            KNN(0, self.rows)
