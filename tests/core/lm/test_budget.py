import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from openai_server import OpenAIServer, Reply, completion

from dspex_core import (
    LM,
    Budget,
    BudgetExceededError,
    ConfigurationError,
    Evaluate,
    EvaluationError,
    Example,
    LMServerError,
    Predict,
    ResponseCache,
    ScriptedLM,
    context,
    exact_match,
)

MODEL = "openai/gpt-4o-mini"
PER_CALL = 10  # tokens, as the server counts them


@pytest.fixture
def lm(server):
    return LM(MODEL, api_base=server.base_url, cache=False, num_retries=0)


def test_the_call_over_the_limit_is_not_made(lm, server):
    budget = Budget(calls=2)
    with context(budget=budget):
        lm("1"), lm("2")
        with pytest.raises(BudgetExceededError, match="the budget of 2 calls has no room") as caught:
            lm("3")
    assert len(server.requests) == 2
    assert (caught.value.kind, caught.value.limit, caught.value.spent) == ("calls", 2, 2)
    assert budget.spent == {"calls": 2, "tokens": 2 * PER_CALL, "dollars": 0.0}


@pytest.mark.parametrize(("tokens", "calls"), [(0, 0), (1, 1), (20, 2), (29, 2), (30, 3)])
def test_a_call_that_would_exceed_the_tokens_by_the_mean_of_those_before_is_not_made(lm, server, tokens, calls):
    with context(budget=Budget(tokens=tokens)), pytest.raises(BudgetExceededError) as caught:  # noqa: PT012  whichever
        for number in range(10):
            lm(str(number))
    assert caught.value.kind == "tokens"
    assert len(server.requests) == calls


def test_dollars_are_what_the_provider_says(lm, server):
    server.replies.extend([Reply(body={**completion("ok"), "usage": {"cost": 0.4}})] * 3)
    with context(budget=Budget(dollars=1.0)) as settings, pytest.raises(BudgetExceededError) as caught:
        lm("1"), lm("2"), lm("3")
    assert (caught.value.kind, caught.value.spent) == ("dollars", 0.8)
    assert settings.budget.spent["dollars"] == 0.8


def test_else_by_list_price(lm):
    budget = Budget(dollars=1.0)
    with context(budget=budget):
        lm("hi")
    assert 0 < budget.spent["dollars"] < 0.001


def test_a_price_that_nobody_knows_is_told_once(server, caplog):
    lm = LM("openai/my-own", api_base=server.base_url, cache=False)
    with context(budget=Budget(dollars=1.0)):
        lm("1"), lm("2")
    assert caplog.text.count("the price of 'openai/my-own' is not known") == 1


def test_the_embedded_lm_is_free(server):
    lm = LM("local/tiny", api_base=server.base_url, cache=False)
    budget = Budget(dollars=0.01)
    with context(budget=budget):
        lm("hi")
    assert budget.spent["dollars"] == 0.0


def test_cached_calls_are_free(server):
    lm = LM(MODEL, api_base=server.base_url)
    with context(cache=ResponseCache()):
        lm("hi")
        with context(budget=Budget(calls=0, tokens=0, dollars=0)):
            assert lm("hi") == ["ok"]
            with pytest.raises(BudgetExceededError):
                lm("ho")


def test_every_try_counts(server):
    server.replies.extend([Reply(status=500, headers={"Retry-After": "0"})] * 9)
    lm = LM(MODEL, api_base=server.base_url, cache=False, num_retries=8)
    with context(budget=Budget(calls=3)), pytest.raises(BudgetExceededError):
        lm("hi")
    assert len(server.requests) == 3


def test_a_failed_call_takes_no_tokens_and_holds_none_back(lm, server):
    server.replies.extend(["ok", Reply(status=500), "ok"])
    budget = Budget(tokens=2 * PER_CALL)
    with context(budget=budget):
        lm("1")
        with pytest.raises(LMServerError):
            lm("2")
        lm("3")
    assert budget.spent["tokens"] == 2 * PER_CALL


def test_threads_and_tasks_share_it_exactly(lm, server):
    def some():
        async def tasks():
            return [(await lm.atry_call("hi")).ok for _ in range(5)]

        return asyncio.run(tasks()) + [lm.try_call("hi").ok for _ in range(5)]

    with context(budget=Budget(calls=17)), ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(copy_context().run, some) for _ in range(4)]
        answers = [ok for done in waiting for ok in done.result()]
    assert (answers.count(True), len(answers)) == (17, 40)
    assert len(server.requests) == 17


def test_calls_under_way_are_counted_as_the_mean():
    def script(body):
        return Reply(delay=1.0 if body["messages"][0]["content"] == "slow" else 0.0)

    budget = Budget(tokens=4 * PER_CALL)
    with OpenAIServer(script=script) as server, context(budget=budget), ThreadPoolExecutor(3) as pool:
        lm = LM(MODEL, api_base=server.base_url, cache=False)
        lm("first")
        slow = [pool.submit(copy_context().run, lm, "slow") for _ in range(3)]
        while len(server.requests) < 4:
            time.sleep(0.01)
        result = lm.try_call("fifth")
        assert not any(call.done() for call in slow)
        assert (result.error.kind, result.error.spent) == ("tokens", PER_CALL)
        assert [call.result() for call in slow] == [["ok"]] * 3
    assert budget.spent["tokens"] == 4 * PER_CALL


def test_who_waits_for_an_equal_call_is_not_stopped_by_the_budget_of_another(server):
    lm = LM(MODEL, api_base=server.base_url, requests_per_minute=600)

    async def ask(budget):
        with context(budget=budget):
            return await lm.atry_call("hi")

    async def both():
        return await asyncio.gather(ask(Budget(calls=0)), ask(Budget(calls=5)))

    with context(cache=ResponseCache()):
        poor, rich = asyncio.run(both())
    assert isinstance(poor.error, BudgetExceededError)
    assert rich.texts == ["ok"]


def test_other_lms_keep_to_it_too():
    lm = ScriptedLM(lambda _: {"a": "1"})
    with context(lm=lm, budget=Budget(calls=1)):
        Predict("q -> a")(q="?")
        with pytest.raises(BudgetExceededError):
            Predict("q -> a")(q="?")


def test_fallbacks_spend_from_it_and_are_no_way_round_it(server):
    server.replies.append(Reply(status=500))
    backup = ScriptedLM(["1", "2"])
    lm = LM(MODEL, api_base=server.base_url, cache=False, num_retries=0, fallbacks=[backup])
    budget = Budget(calls=2)
    with context(budget=budget):
        assert lm("hi") == ["1"]
        with pytest.raises(BudgetExceededError):
            lm("ho")
    assert budget.spent["calls"] == 2


def test_an_evaluation_stops_at_it_and_keeps_what_was_done():
    devset = [Example(q=str(n), a="1").with_inputs("q") for n in range(50)]
    evaluate = Evaluate(devset=devset, metric=exact_match("a"), num_threads=2)
    with (
        context(lm=ScriptedLM(lambda _: {"a": "1"}), budget=Budget(calls=5)),
        pytest.raises(EvaluationError, match="the budget of 5 calls") as caught,
    ):
        evaluate(Predict("q -> a"))
    assert isinstance(caught.value.__cause__, BudgetExceededError)
    assert sum(case.error is None for case in caught.value.result.cases) == 5
    assert len(caught.value.result.cases) <= 7


@pytest.mark.parametrize("limits", [{}, {"calls": -1}, {"tokens": 5, "dollars": -0.1}, {"calls": 1.5}, {"tokens": 0.5}])
def test_limits_that_cannot_be_are_refused(limits):
    with pytest.raises(ConfigurationError, match="a budget needs a limit"):
        Budget(**limits)


def test_it_shows_its_limits():
    budget = Budget(calls=5, dollars=1.5)
    assert repr(budget) == "Budget(calls=5, dollars=1.5)"
    assert budget.limits == {"calls": 5, "dollars": 1.5}
