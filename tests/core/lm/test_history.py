import asyncio
import copy
import gc
import io
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from dspex_core import (
    LM,
    Message,
    Module,
    Predict,
    Prediction,
    ResponseCache,
    ScriptedLM,
    configure,
    context,
    inspect_history,
    settings,
    track_usage,
)
from dspex_core.lm.history import CallLog
from dspex_core.messages import LMRequest

MODEL = "openai/gpt-4o-mini"


def shown(inspect, *args):
    file = io.StringIO()
    inspect(*args, file=file)
    return file.getvalue()


class TwoSteps(Module):
    def __init__(self):
        self.first = Predict("question -> draft")
        self.second = Predict("draft -> answer")

    def forward(self, question):
        return self.second(draft=self.first(question=question).draft)


@pytest.fixture
def lm():
    return ScriptedLM(lambda _: {"draft": "d", "answer": "a"}, model="tests/m")


class TestInspectHistory:
    def test_it_shows_the_messages_and_the_reply_of_the_last_call(self):
        lm = ScriptedLM(["earlier", "the reply"])
        lm("before"), lm(messages=[{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi there"}])
        text = shown(lm.inspect_history)
        assert "] scripted\n" in text
        wanted = ["System message:", "be brief", "User message:", "hi there", "Response:", "the reply"]
        places = [text.index(part) for part in wanted]
        assert places == sorted(places)
        assert "before" not in text

    def test_n_is_how_many_oldest_first(self):
        lm = ScriptedLM(map(str, range(5)))
        for number in range(5):
            lm(f"question {number}")
        text = shown(lm.inspect_history, 2)
        assert text.index("question 3") < text.index("question 4")
        assert "question 2" not in text
        assert shown(lm.inspect_history, 0) == ""
        assert shown(lm.inspect_history, 99).count("User message:") == 5

    def test_every_output_is_shown(self):
        lm = ScriptedLM(["one", "two"])
        lm("hi", n=2)
        text = shown(lm.inspect_history)
        assert "Response 1 of 2:\n\none" in text
        assert "Response 2 of 2:\n\ntwo" in text

    def test_without_a_file_it_is_written_to_stdout(self, capsys):
        lm = ScriptedLM(["the reply"])
        lm("hi")
        assert capsys.readouterr().out == ""
        lm.inspect_history()
        assert "the reply" in capsys.readouterr().out

    def test_an_answer_from_the_cache_and_reasoning_are_told(self, server):
        from openai_server import Reply, completion

        server.replies.append(Reply(body=completion("4", reasoning_content="two and two")))
        lm = LM(MODEL, api_base=server.base_url)
        with context(cache=ResponseCache()):
            lm("hi"), lm("hi")
        text = shown(lm.inspect_history, 2)
        assert text.count(f"{MODEL}, from the cache") == 1
        assert "(reasoning) two and two\n\n4" in text

    def test_the_function_shows_the_calls_of_all_lms(self):
        ScriptedLM(["1"], model="tests/one")("hi"), ScriptedLM(["2"], model="tests/two")("ho")
        text = shown(inspect_history, 2)
        assert text.index("tests/one") < text.index("tests/two")

    def test_a_program_shows_its_own_calls_and_those_of_its_parts(self, lm):
        program, other = TwoSteps(), Predict("question -> answer")
        with context(lm=lm):
            program(question="mine"), other(question="another")
            asyncio.run(program.acall(question="async"))
        assert (len(program.history), len(program.first.history), len(other.history)) == (4, 2, 1)
        assert "another" not in shown(program.inspect_history, 9)
        assert "async" in shown(program.first.inspect_history)

    def test_threads_that_a_program_starts_with_its_context_count(self, lm):
        class Threads(Module):
            def __init__(self):
                self.predict = Predict("question -> answer")

            def forward(self, question):
                with ThreadPoolExecutor(2) as pool:
                    asked = [pool.submit(copy_context().run, lambda: self.predict(question=question)) for _ in "ab"]
                return [done.result() for done in asked]

        program = Threads()
        with context(lm=lm):
            program(question="q")
        assert len(program.history) == 2

    def test_copies_begin_anew(self, lm):
        program = TwoSteps()
        with context(lm=lm):
            program(question="q")
            clone, shallow = program.deepcopy(), copy.deepcopy(program.first)
            assert (len(clone.history), len(clone.first.history), len(shallow.history)) == (0, 0, 0)
            clone(question="q")
        assert (len(clone.history), len(program.history)) == (2, 2)

    def test_a_program_may_have_a_history_of_its_own(self, lm):
        class Chat(Module):
            def __init__(self):
                self.history = []
                self.predict = Predict("question -> answer")

            def forward(self, question):
                self.history.append(question)
                return self.predict(question=question)

        program = Chat()
        with context(lm=lm):
            program(question="q")
        assert program.history == ["q"]
        assert "Response:" in shown(program.inspect_history)

    def test_logs_are_bounded(self):
        log = CallLog(maxlen=2)
        log.extend([1, 2, 3])
        assert list(log) == [2, 3]
        assert Module().history.maxlen == 10_000

    def test_calls_may_be_made_while_a_log_is_gone_through(self, lm):
        program = TwoSteps()
        with context(lm=lm):
            program(question="q")
            for history in (lm.history, program.history):
                known = list(history)
                for entry, other in zip(history, known, strict=True):
                    program(question="q")
                    assert entry is other

    @pytest.mark.parametrize("cache", [False, True])
    def test_a_call_keeps_less_than_a_kilobyte(self, server, cache):
        """The texts are short; a server in this process keeps its requests, too, so they are dropped."""
        lm = LM("openai/a-model", api_base=server.base_url, api_key="k", cache=cache)
        predict = Predict("question -> answer")
        server.replies.extend(["[[ ## answer ## ]]\nParis"] * 700)

        def kept_after(calls):
            for number in range(calls):
                predict(question=f"What is the capital of country {number}?", lm=lm)
            server.requests.clear()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        with context(cache=ResponseCache()):
            kept_after(200)
            tracemalloc.start()
            try:
                before = kept_after(20)
                kept = (kept_after(200) - before) / 200
            finally:
                tracemalloc.stop()
        assert 400 < kept < 1000


class TestUsage:
    def test_predictions_say_what_they_took_once_it_is_configured(self, server):
        lm = LM(MODEL, api_base=server.base_url, cache=False)
        server.replies.extend(["[[ ## draft ## ]]\nd", "[[ ## answer ## ]]\na"])
        with context(lm=lm, track_usage=True):
            prediction = TwoSteps()(question="q")
        tokens = {"prompt_tokens": 14, "completion_tokens": 6, "total_tokens": 20}
        assert prediction.get_lm_usage() == {MODEL: tokens}

    def test_otherwise_they_do_not(self, lm):
        with context(lm=lm):
            assert Predict("question -> answer")(question="q").get_lm_usage() is None

    def test_each_program_counts_its_own(self, lm):
        found = []

        class Keeps(TwoSteps):
            def forward(self, question):
                draft = self.first(question=question)
                found.append(draft.get_lm_usage())
                return self.second(draft=draft.draft)

        with context(lm=lm, track_usage=True), track_usage() as run:
            whole = asyncio.run(Keeps().acall(question="q")).get_lm_usage()
        assert 0 < found[0]["tests/m"]["total_tokens"] < whole["tests/m"]["total_tokens"]
        assert run.get_total_tokens() == whole

    def test_cached_calls_took_nothing(self, server):
        server.replies.append("[[ ## answer ## ]]\na")
        lm, predict = LM(MODEL, api_base=server.base_url), Predict("question -> answer")
        with context(lm=lm, track_usage=True, cache=ResponseCache()), track_usage() as run:
            predict(question="q")
            assert predict(question="q").get_lm_usage() == {}
        assert (run.calls, run.cached_calls, run.by_model[MODEL].total_tokens) == (2, 1, 20)

    def test_it_is_configured_for_the_process_too(self, lm):
        assert settings.track_usage is False
        configure(track_usage=True)
        try:
            with context(lm=lm):
                assert Predict("question -> answer")(question="q").get_lm_usage()
        finally:
            configure(track_usage=False)

    def test_what_is_no_prediction_passes_through(self, lm):
        class Number(Module):
            def forward(self):
                return 5

        with context(track_usage=True):
            assert Number()() == 5

    def test_costs_are_by_list_price_where_the_provider_is_silent(self, server):
        from openai_server import Reply, completion

        server.replies.extend(["ok", Reply(body={**completion("ok"), "usage": {"cost": 0.5}})])
        lm = LM(MODEL, api_base=server.base_url, cache=False)
        with track_usage() as usage:
            lm("1")
            silent = usage.cost
            lm("2")
        assert 0 < silent < 1e-4
        assert usage.cost == pytest.approx(0.5 + silent)
        assert [entry.cost for entry in lm.history] == pytest.approx([silent, 0.5])

    def test_costs_of_cached_embedded_and_unknown_models(self, server):
        lms = [LM(model, api_base=server.base_url) for model in (MODEL, "local/tiny", "openai/my-own")]
        with context(cache=ResponseCache()), track_usage() as usage:
            for lm in lms:
                lm("hi"), lm("hi")
        assert [[entry.cost for entry in lm.history][1] for lm in lms] == [0.0, 0.0, 0.0]
        assert [lm.history[0].cost for lm in lms[1:]] == [0.0, None]
        assert usage.cost == lms[0].history[0].cost

    def test_a_prediction_made_by_hand_has_none(self):
        assert Prediction(answer="a").get_lm_usage() is None


def test_the_ways_to_say_how_a_call_is_made_are_no_part_of_what_is_asked():
    plain = LMRequest((Message("user", "hi"),), {"temperature": 0.5})
    said = LMRequest(plain.messages, {"timeout": 5, "cache": False, "rollout_id": None}).with_defaults(plain.config)
    assert (said.timeout, said.cache, dict(said.config)) == (5, False, {"temperature": 0.5})
    assert said.key() == plain.key()
