from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from cassette_files import calls_in, edit_calls
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core.config import context
from dspex_core.errors import LMServerError
from dspex_core.lm.base import BaseLM
from dspex_core.messages import LMOutput, LMRequest, LMResponse, Message, Usage
from pytest_dspex.cassettes.entry import CassetteError
from pytest_dspex.cassettes.lm_recorder import CassetteMiss, CassetteRecorder
from pytest_dspex.cassettes.store import CassetteStore


class CountingLM(BaseLM):
    """Answers each call with another text."""

    def __init__(self, model="test/counting", **config):
        super().__init__(model, **config)
        self.calls = itertools.count(1)

    def complete(self, request):
        return LMResponse(
            (LMOutput(f"answer {next(self.calls)}", "stop"),), model=self.model, usage=Usage(3, 2), cost=0.5
        )


class FailingLM(BaseLM):
    def complete(self, request):
        raise LMServerError("down", model=self.model)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassettes" / "test_intent" / "test_labels.jsonl"


def record(path, *prompts, case="row-1", mode="new", lm=None, prune=False):
    """Ask in a run of its own, as one pytest session does; return the answers."""
    store = CassetteStore(path)
    answers = [text for prompt in prompts for text in ask(store, prompt, case=case, mode=mode, lm=lm)]
    store.save(prune=prune)
    return answers


def ask(store, prompt, *, case="row-1", mode="none", lm=None, **config):
    with context(recorder=CassetteRecorder(store, case=case, record=mode)):
        return (lm or CountingLM())(prompt, **config)


def missed(path, prompt="hello", *, lm=None, case="row-1", **config):
    with pytest.raises(CassetteMiss) as caught:
        ask(CassetteStore(path), prompt, case=case, lm=lm, **config)
    return caught.value


def plain(*texts, **config):
    return LMRequest(tuple(Message("user", text) for text in texts), config)


# replaying


def test_a_recorded_call_is_replayed_without_asking_the_lm(path):
    assert record(path, "hello") == ["answer 1"]
    lm = FailingLM("test/counting")
    assert ask(CassetteStore(path), "hello", lm=lm) == ["answer 1"]
    response = lm.history[-1].response
    assert response.cached
    assert (response.usage, response.cost, response.outputs[0].finish_reason) == (Usage(3, 2), 0.5, "stop")


def test_a_live_answer_is_not_marked_as_cached(path):
    lm = CountingLM()
    record(path, "hello", lm=lm)
    assert not lm.history[-1].response.cached


def test_the_order_of_the_requests_does_not_matter(path):
    record(path, "a", "b", "c", lm=CountingLM())
    store = CassetteStore(path)
    assert [ask(store, prompt) for prompt in "cab"] == [["answer 3"], ["answer 1"], ["answer 2"]]


def test_the_same_request_gets_the_same_answer_each_time(path):
    record(path, "hello")
    store = CassetteStore(path)
    assert ask(store, "hello") == ask(store, "hello") == ["answer 1"]


def test_rollouts_have_answers_of_their_own(path):
    store, lm = CassetteStore(path), CountingLM()
    recorded = [ask(store, "hello", mode="new", lm=lm, rollout_id=rollout) for rollout in (None, 1, 2)]
    store.save()
    again = CassetteStore(path)
    assert [ask(again, "hello", rollout_id=rollout) for rollout in (2, 1, None)] == recorded[::-1]
    assert len({text for texts in recorded for text in texts}) == 3


def test_equal_requests_of_two_cases_are_two_entries(path):
    record(path, "hello", case="row-1")
    assert missed(path, "hello", case="row-2").nearest.case == "row-1"


def test_async_calls_are_replayed_too(path):
    record(path, "a", "b", lm=CountingLM())

    async def both(lm):
        return await asyncio.gather(lm.acall("b"), lm.acall("a"))

    with context(recorder=CassetteRecorder(CassetteStore(path), case="row-1", record="none")):
        assert asyncio.run(both(CountingLM())) == [["answer 2"], ["answer 1"]]


@settings(max_examples=25, deadline=None)
@given(
    prompts=st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=5, unique=True),
    answer=st.text(st.characters(exclude_categories=())),
    config=st.dictionaries(st.sampled_from(["temperature", "stop", "seed"]), st.integers() | st.text() | st.none()),
    data=st.data(),
)
def test_any_recorded_calls_are_replayed_in_any_order(tmp_path_factory, prompts, answer, config, data):
    path = tmp_path_factory.mktemp("recorder") / "test_fn.jsonl"
    store = CassetteStore(path)
    recorder = CassetteRecorder(store, case="row-1", record="new")
    response = LMResponse((LMOutput(answer),), model="m")
    for prompt in prompts:
        assert recorder.replay("m", plain(prompt, **config)) is None
        recorder.record("m", plain(prompt, **config), response)
    store.save()
    stored = CassetteStore(path)
    again = CassetteRecorder(stored, case="row-1", record="none")
    for prompt in data.draw(st.permutations(prompts)):
        replayed = again.replay("m", plain(prompt, **config))
        assert replayed.text == json.loads(json.dumps(answer))  # JSON joins a pair of surrogates
        assert replayed.cached
    assert stored.counts == {"replayed": len(prompts)}


def test_replaying_imports_no_engine_and_nothing_else_that_is_heavy(path):
    record(path, "hello")
    code = f"""
import sys
from pathlib import Path
from pytest_dspex.cassettes.lm_recorder import CassetteRecorder
from pytest_dspex.cassettes.store import CassetteStore
from dspex_core.messages import LMRequest, Message

recorder = CassetteRecorder(CassetteStore(Path({str(path)!r})), case="row-1", record="none")
print(recorder.replay("test/counting", LMRequest((Message("user", "hello"),))).text)
print([name for name in ("litellm", "vcr", "numpy", "rapidfuzz", "pydantic") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[:2] == ["answer 1", "[]"]


# the modes of recording


def test_new_replays_what_is_there_and_records_the_rest(path):
    record(path, "a")
    lm = CountingLM()
    assert record(path, "a", "b", lm=lm) == ["answer 1", "answer 1"]  # the second one is this LM's first
    assert next(lm.calls) == 2
    assert len(CassetteStore(path)) == 2


def test_all_asks_for_everything_and_replaces_the_answers(path):
    record(path, "a")
    assert record(path, "a", mode="all", lm=_after(10)) == ["answer 10"]
    assert ask(CassetteStore(path), "a") == ["answer 10"]


def test_all_drops_what_is_not_asked_any_more_when_the_whole_function_ran(path):
    record(path, "a", "b")
    record(path, "a", mode="all", prune=True)
    assert len(CassetteStore(path)) == 1
    missed(path, "b")


@pytest.mark.parametrize("mode", ["new", "all"])
def test_who_asks_again_at_temperature_0_in_a_recording_run_gets_the_recorded_answer(path, mode):
    record(path, "a")
    store, lm = CassetteStore(path), _after(10)
    first = ask(store, "a", mode=mode, lm=lm, temperature=0)
    rerun = ask(store, "a", mode=mode, lm=lm, temperature=0)  # another recorder
    store.save()
    assert first == rerun == ask(CassetteStore(path), "a", temperature=0)


def test_a_failed_call_is_not_recorded_and_keeps_the_old_answer(path):
    record(path, "a")
    store = CassetteStore(path)
    with pytest.raises(LMServerError):
        ask(store, "a", mode="all", lm=FailingLM("test/counting"))
    store.save(prune=True)
    assert ask(CassetteStore(path), "a") == ["answer 1"]


def _after(start):
    lm = CountingLM()
    lm.calls = itertools.count(start)
    return lm


def test_calls_are_counted(path):
    store, response = CassetteStore(path), LMResponse((LMOutput("hi"),))
    recorder = CassetteRecorder(store, case="row-1", record="new")
    for prompt in ("a", "b", "a"):
        if recorder.replay("m", plain(prompt, temperature=0)) is None:
            recorder.record("m", plain(prompt, temperature=0), response)
    recorder.record("m", plain("a", temperature=0), response)  # a second thread that asked at the same time
    assert store.counts == {"replayed": 1, "recorded": 2}
    strict = CassetteRecorder(store, case="row-1", record="none")
    with pytest.raises(CassetteMiss):
        strict.replay("m", plain("c", temperature=0))
    assert store.counts == {"replayed": 1, "recorded": 2, "missed": 1}


def test_threads_share_a_recorder(path):
    store, lm = CassetteStore(path), CountingLM()
    recorder = CassetteRecorder(store, case="row-1", record="new")
    prompts = [f"prompt {n % 20}" for n in range(200)]

    def work(prompt):
        with context(recorder=recorder):
            lm(prompt, temperature=0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, prompts))
    store.save()
    assert len(CassetteStore(path)) == store.counts["recorded"] == 20
    assert store.counts["replayed"] + next(lm.calls) - 1 == 200


# credentials


def test_credentials_among_the_parameters_are_neither_stored_nor_part_of_the_key(path):
    store = CassetteStore(path)
    lm = CountingLM(extra_headers={"Authorization": "Bearer sk-one"})
    ask(store, "hello", mode="new", lm=lm, api_key="sk-two", temperature=0.5)
    store.save()
    assert "sk-" not in path.read_text(encoding="utf-8")
    assert ask(CassetteStore(path), "hello", api_key="sk-of-a-colleague", temperature=0.5) == ["answer 1"]
    assert "sk-" not in str(missed(path, "other", api_key="sk-three", temperature=0.5))


def test_parameters_that_change_the_answer_are_part_of_the_key(path):
    record(path, "hello")
    missed(path, "hello", top_k=3)


# misses


def test_a_miss_is_no_exception_that_a_program_could_handle():
    assert not issubclass(CassetteMiss, Exception)


def test_a_miss_names_the_test_the_cassette_the_request_and_what_to_do(path):
    record(path, "Something else entirely", case="row-2")
    message = str(missed(path, "Classify: my card is lost"))
    assert message.startswith("test_labels[row-1] calls")
    assert str(missed(path, case="")).startswith("test_labels calls")
    assert str(path) in message
    assert "'test/counting'" in message
    assert "    Classify: my card is lost" in message
    assert "No recorded request is like it." in message
    assert "--dspex-record=new" in message
    assert "--dspex-live" in message


def test_a_miss_where_nothing_is_recorded_yet_says_so_at_once_and_briefly(path):
    lines = str(missed(path, "Classify: my card is lost")).splitlines()
    test = "test_labels[row-1] calls 'test/counting'"
    assert lines[0] == f"{test}, and no call is recorded yet: its cassette {path} is missing."
    assert "--dspex-record=new" in lines[1]
    assert len(lines) == 2


def test_a_miss_shows_the_words_that_changed(path):
    record(path, "First line.\nClassify: my card is lost\nLast line.\nThe end.")
    miss = missed(path, "First line.\nClassify: my card was lost\nLast line.\nThe end.")
    assert "    -Classify: my card is lost\n    +Classify: my card was lost\n" in str(miss)
    assert "The end." not in str(miss).partition("nearest")[2]
    assert miss.nearest.request["messages"][0]["content"].startswith("First line.")


@pytest.mark.parametrize(
    ("asked", "change"),
    [
        ({"lm": CountingLM("test/other")}, "-model: test/counting\n    +model: test/other\n"),
        ({"case": "row-2"}, "-case: row-1\n    +case: row-2\n"),
        ({"temperature": 0.7}, '+    "temperature": 0.7\n'),
        ({"rollout_id": 3}, '+  "rollout_id": 3\n'),
    ],
    ids=["model", "case", "config", "rollout"],
)
def test_a_miss_shows_what_else_differs(path, asked, change):
    record(path, "hello")
    message = str(missed(path, "hello", **asked))
    assert change in message
    assert "hello" not in message.partition("nearest")[2]


def test_a_miss_shows_a_change_deep_in_a_long_line_and_stays_short(path):
    filler = "some words of a long paragraph, " * 100
    record(path, filler + "the old end")
    message = str(missed(path, filler + "the new end"))
    assert "old end\n" in message
    assert "new end\n" in message
    assert len(message) < 2000


def test_a_long_difference_is_cut(path):
    record(path, "\n".join(f"line {n}" for n in range(100)))
    message = str(missed(path, "\n".join(f"line no. {n}" for n in range(100))))
    assert "more lines" in message
    assert len(message.partition("nearest")[2].split("\n")) < 20


def test_an_edited_entry_that_reads_the_same_is_called_that(path):
    record(path, "hello")
    edit_calls(path, key="0" * 32)
    assert "reads the same but has another key" in str(missed(path, "hello"))


def with_image(data):
    return [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
    ]


def ask_about(path, data, mode="none"):
    store = CassetteStore(path)
    with context(recorder=CassetteRecorder(store, case="row-1", record=mode)):
        answers = CountingLM()(messages=[{"role": "user", "content": with_image(data)}])
    store.save()
    return answers


def test_a_call_with_an_image_is_replayed(path):
    assert ask_about(path, "QUJD", mode="new") == ask_about(path, "QUJD") == ["answer 1"]


def test_a_miss_shows_that_an_image_changed_and_not_its_data(path):
    ask_about(path, "QUJD" * 50_000, mode="new")
    with pytest.raises(CassetteMiss) as caught:
        ask_about(path, "QUJE" + "QUJD" * 50_000)
    shown = str(caught.value)
    assert "What is this?[image_url" in shown
    assert "nearest recorded request (-) differs from it (+)" in shown
    assert len(shown) < 2000


def test_a_miss_can_be_printed_and_sent_whatever_the_prompt_holds(path):
    record(path, "old \ud800")
    message = str(missed(path, "new \ud800"))
    assert message.encode()
    assert "new \\ud800" in message


def test_a_miss_inside_threads_and_tasks_reaches_the_test(path):
    recorder = CassetteRecorder(CassetteStore(path), case="row-1", record="none")
    with pytest.raises(CassetteMiss), ThreadPoolExecutor(1) as pool:
        pool.submit(recorder.replay, "m", plain("hello")).result()

    async def gathered():
        with context(recorder=recorder):
            await asyncio.gather(CountingLM().acall("a"), CountingLM().acall("b"))

    with pytest.raises(CassetteMiss):
        asyncio.run(gathered())


# damaged cassettes


@pytest.mark.parametrize("response", [{}, {"outputs": [{"txt": "hi"}], "model": "m", "usage": {}}, {"outputs": 3}])
def test_an_entry_with_an_unreadable_response_is_named(path, response):
    record(path, "hello")
    (stored,) = calls_in(path)
    edit_calls(path, reply=response)
    with pytest.raises(CassetteError) as caught:
        ask(CassetteStore(path), "hello")
    assert stored["key"] in str(caught.value)
    assert str(path) in str(caught.value)
