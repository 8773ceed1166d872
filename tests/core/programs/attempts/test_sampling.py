"""BestOfN and Refine: attempts, their reward, and what is left of them."""

import asyncio
import functools
import json
import threading

import pytest

from dspex_core import (
    BestOfN,
    Budget,
    BudgetExceededError,
    ChainOfThought,
    ConfigurationError,
    Image,
    LMNotConfiguredError,
    Module,
    Predict,
    Prediction,
    Refine,
    Score,
    ScriptedLM,
    Signature,
    context,
    load,
    settings,
    track_usage,
)
from dspex_core.errors import ArtifactError

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="


class TwoSteps(Module):
    """Finds a topic, then answers."""

    def __init__(self):
        self.first = Predict("question -> topic")
        self.second = ChainOfThought("topic -> answer")

    def forward(self, question):
        return self.second(topic=self.first(question=question).topic)


def by_length(inputs, prediction):
    """The longer the better."""
    return float(len(prediction.answer))


def as_it_is(times, inputs, prediction):
    """As it is."""
    return times * prediction.answer


class Grader:
    def __call__(self, inputs, prediction):
        """How long it is."""
        return prediction.answer


class JudgedLength(Module):
    """A program that measures."""

    def forward(self, inputs, prediction):
        return prediction.answer


def answers(*texts):
    return ScriptedLM([text if isinstance(text, Exception) else {"answer": text} for text in texts])


def ask(module, how, **inputs):
    return module(**inputs) if how == "sync" else asyncio.run(module.acall(**inputs))


def advised(request):
    """Answer the questions of a `Refine`, and give advice; the answer has as many letters as the hint has words."""
    text = request.messages[-1].text
    if "reward_code" in text:
        return {"discussion": "d", "advice": {"self": "be much longer", "nobody": "x"}}
    return {"answer": "aaa" if "be much longer" in text else "a"}


both = pytest.mark.parametrize("how", ["sync", "async"])
kinds = pytest.mark.parametrize("kind", [BestOfN, Refine])
QA = "question -> answer"


class TestBestOfN:
    @both
    def test_the_prediction_with_the_highest_reward_is_returned(self, how):
        best = BestOfN(Predict(QA), N=3, reward_fn=by_length, threshold=10)
        with context(lm=answers("aa", "aaaa", "a")):
            assert ask(best, how, question="q").answer == "aaaa"

    @both
    def test_of_equal_rewards_the_first_is_returned(self, how):
        best = BestOfN(Predict(QA), N=2, reward_fn=by_length, threshold=10)
        with context(lm=answers("aa", "bb")):
            assert ask(best, how, question="q").answer == "aa"

    @both
    def test_it_stops_at_the_first_attempt_that_is_good_enough(self, how):
        best = BestOfN(Predict(QA), N=3, reward_fn=by_length, threshold=2)
        with context(lm=answers("a", "aa")):  # a third call would exhaust it
            assert ask(best, how, question="q").answer == "aa"

    @both
    def test_without_a_threshold_all_attempts_are_made(self, how):
        lm = answers("a", "aaaa", "aa")
        with context(lm=lm):
            assert ask(BestOfN(Predict(QA), 3, by_length, None), how, question="q").answer == "aaaa"
        assert len(lm.history) == 3

    @both
    def test_each_attempt_has_a_rollout_of_its_own_at_temperature_one(self, how):
        lm = answers("a", "a", "a")
        with context(lm=lm):
            ask(BestOfN(Predict(QA), 3, by_length, 9), how, question="q")
        requests = [entry.request for entry in lm.history]
        assert [request.rollout_id for request in requests] == [0, 1, 2]
        assert [request.config for request in requests] == [{"temperature": 1.0}] * 3

    @pytest.mark.parametrize(
        ("config", "lm_config", "expected"),
        [
            ({"temperature": 0.4}, {"temperature": 0.2}, [(0.4, 0), (0.4, 1)]),
            ({}, {"temperature": 0.2, "rollout_id": 5}, [(1.0, 5), (1.0, 6)]),
            ({"rollout_id": 7}, {"rollout_id": 5}, [(1.0, 7), (1.0, 8)]),
        ],
    )
    def test_what_a_predictor_and_its_lm_say_is_heeded(self, config, lm_config, expected):
        predict = Predict(QA, **config)
        predict.lm = answers("a", "a").copy(**lm_config)
        BestOfN(predict, 2, by_length, 9)(question="q")
        requests = [entry.request for entry in predict.lm.history]
        assert [(request.config["temperature"], request.rollout_id) for request in requests] == expected

    def test_predictors_may_have_different_lms(self):
        program = TwoSteps()
        program.first.lm, program.second.predict.lm = (
            ScriptedLM([{"topic": "t"}] * 2),
            ScriptedLM([{"reasoning": "r", "answer": text} for text in ("a", "aa")]),
        )
        assert BestOfN(program, 2, by_length, 9)(question="q").answer == "aa"

    def test_the_program_is_not_changed(self):
        program = TwoSteps()
        before = program.dump_state()
        best = BestOfN(program, 2, by_length, 9)
        with context(lm=ScriptedLM(lambda _: {"topic": "t", "reasoning": "r", "answer": "a"})):
            best(question="q")
        assert program.dump_state() == before
        assert (best.fail_count, best.N, program.get_lm()) == (2, 2, None)

    @both
    @pytest.mark.parametrize("reward", [Score(2.0), True, Prediction(score=3), 1])
    def test_a_reward_may_be_whatever_a_metric_returns(self, how, reward):
        with context(lm=answers("a")):
            assert ask(BestOfN(Predict(QA), 2, lambda inputs, prediction: reward, 1), how, question="q").answer == "a"

    @both
    def test_a_reward_may_be_async(self, how):
        async def reward(inputs, prediction):
            await asyncio.sleep(0)
            return by_length(inputs, prediction) + len(inputs["question"])

        with context(lm=answers("a", "aa")):
            assert ask(BestOfN(Predict(QA), 2, reward, 4), how, question="qq").answer == "aa"

    def test_a_slow_reward_does_not_block_the_event_loop(self):
        ticked = threading.Event()

        async def main():
            asyncio.get_running_loop().call_later(0.01, ticked.set)
            best = BestOfN(Predict(QA), 1, lambda inputs, prediction: float(ticked.wait(20)), 1)
            return await best.acall(question="q")

        with context(lm=answers("a")):
            assert asyncio.run(main()).answer == "a"

    def test_a_reward_that_is_a_program_has_no_predictors_of_this_one(self):
        class Judge(Module):
            def __init__(self):
                self.judge = Predict("answer -> score: float")

            def forward(self, inputs, prediction):
                return self.judge(answer=prediction.answer)

        best = BestOfN(Predict(QA), 2, Judge(), 0.5)
        assert [path for path, _ in best.named_predictors()] == ["module"]
        with context(lm=ScriptedLM([{"answer": "a"}, {"score": 0.7}])):
            assert best(question="q").answer == "a"

    @kinds
    def test_no_attempts_are_refused(self, kind):
        with pytest.raises(ConfigurationError, match="N must be at least 1, not 0"):
            kind(Predict(QA), 0, by_length, 1)


class TestFailures:
    @both
    def test_failed_attempts_are_passed_over_and_told_in_the_log(self, how, caplog):
        with context(lm=answers(ValueError("first"), "aa", ValueError("third"))):
            assert ask(BestOfN(Predict(QA), 3, by_length, 9), how, question="q").answer == "aa"
        assert "attempt 1 of 3 failed: ValueError: first" in caplog.text

    @both
    def test_more_than_allowed_raise_the_last_one(self, how):
        lm = answers("aa", ValueError("first"), ValueError("second"))
        with context(lm=lm), pytest.raises(ValueError, match="second"):
            ask(BestOfN(Predict(QA), 5, by_length, 9, fail_count=1), how, question="q")

    @both
    def test_none_may_fail_with_a_fail_count_of_zero(self, how):
        with context(lm=answers("aa", ValueError("first"))), pytest.raises(ValueError, match="first"):
            ask(BestOfN(Predict(QA), 5, by_length, 9, fail_count=0), how, question="q")

    @both
    @kinds
    def test_when_all_fail_the_last_error_is_raised(self, how, kind):
        with context(lm=answers(*(ValueError(str(n)) for n in range(3)))), pytest.raises(ValueError, match="2"):
            ask(kind(Predict(QA), 3, by_length, 9), how, question="q")

    @both
    def test_those_of_one_call_do_not_count_in_the_next(self, how):
        best = BestOfN(Predict(QA), 3, by_length, 1, fail_count=1)
        for _ in range(3):
            with context(lm=answers(ValueError("x"), "aa")):
                assert ask(best, how, question="q").answer == "aa"

    @both
    def test_a_reward_that_fails_counts_as_well(self, how):
        def reward(inputs, prediction):
            return None if prediction.answer == "bad" else 1

        with context(lm=answers("bad", "good")):
            assert ask(BestOfN(Predict(QA), 2, reward, 1), how, question="q").answer == "good"
        with context(lm=answers("bad")), pytest.raises(ValueError, match="must return a finite number"):
            ask(BestOfN(Predict(QA), 1, reward, 1), how, question="q")

    @both
    def test_a_spent_budget_is_raised_at_once(self, how):
        lm = answers("a", "aa", "aaa")
        with context(lm=lm, budget=Budget(calls=1)), pytest.raises(BudgetExceededError):
            ask(BestOfN(Predict(QA), 3, by_length, 9), how, question="q")
        assert len(lm.history) == 1

    @kinds
    def test_without_an_lm_it_says_so(self, kind):
        with context(lm=None), pytest.raises(LMNotConfiguredError):
            kind(Predict(QA), 2, by_length, 1)(question="q")


class TestWhatIsKept:
    @both
    @kinds
    def test_usage_and_history_of_all_attempts_the_trace_of_the_chosen_one(self, how, kind):
        lm = ScriptedLM(advised)
        program = Predict(QA)
        best = kind(program, 2, by_length, 9)
        with context(lm=lm, trace=[], track_usage=True), track_usage() as usage:
            prediction = ask(best, how, question="q")
            trace = settings.trace
        calls = 2 if kind is BestOfN else 3
        assert (len(lm.history), len(best.history), usage.calls) == (calls, calls, calls)
        assert prediction.get_lm_usage() == usage.get_total_tokens()
        assert len(trace) == 1
        assert trace[0][0] is program  # and no copy, which no optimizer would know
        assert trace[0][1] == {"question": "q"}
        assert trace[0][2].answer == prediction.answer

    @kinds
    def test_both_drivers_ask_the_same_and_find_the_same(self, kind):
        asked = []
        for how in ("sync", "async"):
            lm = ScriptedLM(advised)
            with context(lm=lm):
                found = ask(kind(Predict(QA), 3, by_length, 3), how, question="q")
            asked.append((found, [entry.request for entry in lm.history]))
        assert asked[0] == asked[1]

    @kinds
    def test_the_predictors_are_those_of_the_program(self, kind):
        best = kind(TwoSteps(), 2, by_length, 1)
        assert [path for path, _ in best.named_predictors()] == ["module.first", "module.second.predict"]

    @kinds
    def test_state_is_saved_and_loaded(self, kind, tmp_path):
        best = kind(TwoSteps(), 2, by_length, 1)
        best.module.first.demos = [{"question": "q", "topic": "t"}]
        best.save(tmp_path / "p.json")
        other = kind(TwoSteps(), 2, by_length, 1)
        other.load(tmp_path / "p.json")
        assert other.module.first.demos == best.module.first.demos


class TestWholePrograms:
    @kinds
    def test_are_saved_with_a_reward_that_has_a_name(self, kind, tmp_path):
        best = kind(ChainOfThought("question -> answer: int", temperature=0.3), 4, by_length, 0.5, fail_count=1)
        best.module.predict.demos = [{"question": "q", "reasoning": "r", "answer": 1}]
        best.save(tmp_path, save_program=True)

        loaded = load(tmp_path, allow_import=True)

        assert type(loaded) is kind
        assert loaded.dump_state() == best.dump_state()
        assert (loaded.N, loaded.threshold, loaded.fail_count, loaded.reward_fn) == (4, 0.5, 1, by_length)
        assert loaded.module.predict.config == {"temperature": 0.3}

    def test_a_function_is_not_taken_on_a_files_word_alone(self, tmp_path):
        BestOfN(Predict(QA), 2, by_length, 1).save(tmp_path, save_program=True)
        with pytest.raises(ArtifactError, match="which would be called: load with allow_import=True if you trust"):
            load(tmp_path)

    @pytest.mark.parametrize(
        ("functions", "reason"),
        [
            ({"reward_fn": "subprocess:Popen"}, "which does not exist"),
            ({"reward_fn": "os:nothing_like_it"}, "which does not exist"),
            ({"reward_fn": 3}, "lacks a part of the program"),
            ([], "lacks a part of the program"),
        ],
    )
    def test_damage_is_an_error(self, tmp_path, functions, reason):
        BestOfN(Predict(QA), 2, by_length, 1).save(tmp_path, save_program=True)
        file = tmp_path / "program.json"
        artifact = json.loads(file.read_text())
        artifact["state"]["functions"] = functions
        file.write_text(json.dumps(artifact))
        with pytest.raises(ArtifactError, match=reason):
            load(tmp_path, allow_import=True)

    @pytest.mark.parametrize(
        ("reward", "reason"),
        [
            (lambda inputs, prediction: 1.0, "does not name that function: define it at the top level"),
            (functools.partial(by_length), "arguments.reward_fn: .* is not a JSON value"),
        ],
    )
    def test_a_reward_without_a_name_is_refused(self, tmp_path, reward, reason):
        with pytest.raises(ArtifactError, match=reason):
            BestOfN(Predict(QA), 2, reward, 1).save(tmp_path, save_program=True)


class TestRefine:
    @both
    def test_the_next_attempt_is_given_advice(self, how):
        lm = ScriptedLM(advised)
        with context(lm=lm):
            assert ask(Refine(Predict(QA), 3, by_length, 3), how, question="q").answer == "aaa"
        first, feedback, second = [entry.request.messages[-1].text for entry in lm.history]
        assert "hint_" not in first
        assert "be much longer" in second
        assert "The longer the better." in feedback  # the reward's code
        assert '"question": "q"' in feedback

    @both
    def test_there_is_no_advice_after_the_last_attempt_nor_after_a_good_one(self, how):
        for count, threshold in ((1, 9), (3, 1)):
            lm = answers("a")
            with context(lm=lm):
                ask(Refine(Predict(QA), count, by_length, threshold), how, question="q")
            assert len(lm.history) == 1

    def test_each_step_gets_its_own_advice_and_those_without_get_none(self):
        def reply(request):
            if "reward_code" in request.messages[-1].text:
                return {"discussion": "d", "advice": {"second.predict": "say more", "first": " "}}
            return {"topic": "t", "reasoning": "r", "answer": "a"}

        lm = ScriptedLM(reply)
        with context(lm=lm):
            Refine(TwoSteps(), 2, by_length, 9)(question="q")
        texts = [entry.request.messages[-1].text for entry in lm.history]
        assert ["say more" in text for text in texts] == [False, False, False, False, True]
        assert ["hint_" in text for text in texts] == [False, False, False, False, True]
        assert "class TwoSteps(Module)" in texts[2]
        assert '"step": "second.predict"' in texts[2]

    def test_advice_does_not_stay(self):
        refine = Refine(Predict(QA), 2, by_length, 3)
        lm = ScriptedLM(advised)
        with context(lm=lm):
            refine(question="q")
            refine(question="q")
        assert list(refine.module.signature.input_fields) == ["question"]
        assert "hint_" not in lm.history[3].request.messages[-1].text

    @both
    def test_advice_that_cannot_be_had_counts_as_a_failure(self, how):
        def reply(request):
            return ValueError("no advice") if "reward_code" in request.messages[-1].text else {"answer": "a"}

        with context(lm=ScriptedLM(reply)):
            assert ask(Refine(Predict(QA), 3, by_length, 9), how, question="q").answer == "a"
            with pytest.raises(ValueError, match="no advice"):
                ask(Refine(Predict(QA), 3, by_length, 9, fail_count=0), how, question="q")

    def test_advice_comes_from_the_lm_of_the_settings_else_from_the_programs(self):
        program = Predict(QA)
        program.lm = ScriptedLM(advised)
        with context(lm=None):
            Refine(program, 2, by_length, 9)(question="q")
        assert len(program.lm.history) == 3
        with context(lm=ScriptedLM(advised)):
            Refine(program, 2, by_length, 9)(question="q")
            assert len(settings.lm.history) == 1

    def test_an_image_is_named_and_not_sent_to_the_one_that_advises(self):
        signature = Signature("picture: Image, size: tuple[int, int] -> answer", types={"Image": Image})
        lm = ScriptedLM(advised)
        with context(lm=lm):
            Refine(Predict(signature), 2, by_length, 9)(picture=Image(PIXEL), size=(1, 2))
        feedback = lm.history[1].request.messages[-1].text
        assert '"picture": "<Image>"' in feedback
        assert "base64" not in feedback

    @pytest.mark.parametrize(
        ("reward", "shown"),
        [
            (functools.partial(as_it_is, 1), "As it is."),
            (Grader(), "How long it is."),
            (JudgedLength(), "A program that measures."),
            (eval("lambda inputs, prediction: 0.0"), "<lambda>"),
        ],
    )
    def test_the_reward_is_shown_as_far_as_its_code_can_be_read(self, reward, shown):
        def reply(request):
            return advised(request) if "reward_code" in request.messages[-1].text else {"answer": 0.5}

        lm = ScriptedLM(reply)
        with context(lm=lm):
            Refine(Predict("question -> answer: float"), 2, reward, 9)(question="q")
        feedback = lm.history[1].request.messages[-1].text
        assert shown in feedback
        assert " at 0x" not in feedback

    def test_a_program_without_source_is_shown_by_its_predictors(self):
        class Typed(Predict):
            pass

        Typed.__module__ = "__main__"
        lm = ScriptedLM(advised)
        with context(lm=lm):
            Refine(Typed(QA), 2, by_length, 9)(question="q")
        assert repr(Typed(QA)) in lm.history[1].request.messages[-1].text

    def test_a_refine_may_stand_inside_another(self):
        lm = ScriptedLM(
            lambda request: (
                {"discussion": "d", "advice": {"self": "inner", "module": "outer"}}
                if "reward_code" in request.messages[-1].text
                else {"answer": "a"}
            )
        )
        with context(lm=lm):
            Refine(Refine(Predict(QA), 2, by_length, 9), 2, by_length, 9)(question="q")
        hints = [
            entry.request.messages[-1].text
            for entry in lm.history
            if "hint_" in entry.request.messages[-1].text and "reward_code" not in entry.request.messages[-1].text
        ]
        assert [("inner" in text, "outer" in text) for text in hints] == [(True, False), (False, True), (True, False)]


def test_what_is_no_program_is_an_error():
    with pytest.raises(ConfigurationError, match="module must be a program"):
        BestOfN(len, N=2, reward_fn=lambda inputs, prediction: 1.0, threshold=1.0)
