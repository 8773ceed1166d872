"""A suite with all kinds of LM calls, and everything that its sessions leave behind, to compare sessions with it."""

from __future__ import annotations

import hashlib
import json
import random
import re
import textwrap
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from openai_server import Reply

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

CONFTEST = """
    import asyncio
    import os
    import random
    import threading

    import pytest
    from dspex_core import LM, Embedder, Parallel, Predict
    from pytest_dspex import program

    URL = os.environ["SUITE_SERVER"]
    KEY = "sk-suite-" + "5ecret" * 3

    @pytest.fixture(scope="session")
    def lm():
        return LM("openai/suite", api_base=URL, api_key=KEY, temperature=0.0)

    @pytest.fixture(scope="session")
    def sampling():
        return LM("openai/sampling", api_base=URL, api_key=KEY, temperature=0.9)

    @pytest.fixture(scope="session")
    def warm(lm):
        return lm("Say session")[0]

    @pytest.fixture(scope="package")
    def sampled_once(sampling):
        answers = [sampling("Say package")[0] for _ in range(2)]
        yield answers
        sampling("Say teardown")

    @program
    def qa():
        return Predict("question -> answer")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(items):
        if "SUITE_ORDER" in os.environ:
            chance = random.Random(int(os.environ["SUITE_ORDER"]))
            chance.shuffle(items)
            places = {}
            for item in items:  # a shared fixture is set up once
                places.setdefault(item.path, len(places))
                places.setdefault((item.path, item.cls), len(places))
            items.sort(key=lambda item: (places[item.path], places[item.path, item.cls]))
"""
CASES = """
    import pytest
    from dspex_core import Predict, exact_match

    WORDS = ["red", "green", "blue", "wrong", "white", "silent"]
    ROWS = [
        {"id": f"c-{word}", "question": f"Say {word}", "answer": "right" if word == "wrong" else word,
         "size": "short" if len(word) < 5 else "long"}
        for word in WORDS
    ]

    def judge(example, prediction, trace=None):
        return Predict("question, given -> answer")(question="Say yes", given=prediction.answer).answer == "yes"

    @pytest.mark.dspex_data(ROWS, inputs=["question"], metrics=[exact_match("answer"), judge])
    @pytest.mark.dspex_gate("exact_match", min=0.7, by="size")
    @pytest.mark.dspex_gate("judge", min=0.9)
    @pytest.mark.dspex_gate("calls", max=5)
    def test_metrics(example, prediction, score):
        score("length", len(prediction.answer) / 10)

    @pytest.mark.dspex_data(ROWS, inputs=["question"])
    @pytest.mark.dspex_gate("errors", max=0.5)
    @pytest.mark.parametrize("times", [1, 2])
    def test_asserts(example, prediction, times):
        assert prediction.answer * times == example.answer * times

    @pytest.mark.dspex_data(ROWS[:3], inputs=["question"])
    @pytest.mark.dspex_repeat(3, require="2/3")
    def test_repeats(example, prediction, sampling, score):
        score("sample", len(sampling(f"Say {example.answer} again")[0]))
        assert prediction.answer == example.answer

    @pytest.mark.dspex_data(ROWS[:4], inputs=["question"])
    @pytest.mark.dspex_repeat(2, pass_at=1)
    @pytest.mark.dspex_gate("flaky", min=0.9)
    def test_flaky(example, sampling, score):
        score("flaky", sampling(f"Say flaky {example.answer}")[0][-1] in "02468")
"""
LINES_OF_WORK = """
    import asyncio
    import threading
    from concurrent.futures import ThreadPoolExecutor

    import httpx
    import numpy as np
    import pytest
    from conftest import KEY, URL
    from dspex_core import Embedder, Example, Parallel, Predict, exact_match

    def body(question, **more):
        return {"model": "http", "messages": [{"role": "user", "content": question}], **more}

    def said(reply):
        return reply.json()["choices"][0]["message"]["content"]

    CHAT = f"{URL}/chat/completions"
    HEADERS = {"Authorization": f"Bearer {KEY}"}

    def post(question, **more):
        return said(httpx.post(CHAT, json=body(question, **more), headers=HEADERS))

    @pytest.fixture(scope="module")
    def moduled(lm, warm):
        return [warm, lm("Say module")[0]]

    class TestIn:
        @pytest.fixture(scope="class")
        def classed(self, sampling):
            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(lambda _: sampling("Say class")[0], range(4)))

        def test_one(self, classed, moduled, score):
            for place, text in enumerate(classed):
                score(f"class-{place}", number(text))

        def test_two(self, classed, sampled_once, lm, score):
            for place, text in enumerate([*classed, *sampled_once]):
                score(f"class-{place}", number(text))
            assert lm("Say two")[0] == "fails"

    def number(text):
        return float("".join(filter(str.isdigit, text)) or 0) / 1000

    def record(score, answers):
        for place, text in enumerate(answers):
            score(f"answer-{place}", number(text))

    def test_threads(sampling, score):
        with ThreadPoolExecutor(4) as pool:
            record(score, pool.map(lambda _: sampling("Say thread")[0], range(6)))

    def test_parallel(sampling, score):
        asked = Parallel(num_threads=4)([(lambda text: sampling(text)[0], {"text": "Say piece"})] * 5)
        record(score, asked)

    def test_tasks(sampling, score):
        async def all_of_them():
            return await asyncio.gather(*(sampling.acall("Say task") for _ in range(5)))

        record(score, [each[0] for each in asyncio.run(all_of_them())])

    def test_tasks_that_wait_first(sampling, score):
        async def one(place):
            await asyncio.sleep(0.02 * (place % 2))
            return (await sampling.acall("Say waiting"))[0]

        async def all_of_them():
            return await asyncio.gather(*(one(place) for place in range(4)))

        record(score, asyncio.run(all_of_them()))

    def test_http(score):
        record(score, [post("Say http", temperature=0.5) for _ in range(3)])

    def test_http_in_threads(score):
        with ThreadPoolExecutor(4) as pool:
            record(score, pool.map(lambda _: post("Say threaded", temperature=0.5), range(6)))

    def test_http_in_bare_threads(score):
        answers = {}
        def ask(place):
            answers[place] = post("Say bare", temperature=0.5)
        threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        record(score, [answers[place] for place in range(4)])

    def test_http_in_tasks(score):
        async def all_of_them():
            async with httpx.AsyncClient(headers=HEADERS) as client:
                asked = (client.post(CHAT, json=body("Say async", temperature=1)) for _ in range(5))
                return [said(reply) for reply in await asyncio.gather(*asked)]

        record(score, asyncio.run(all_of_them()))

    def test_streams(score):
        with httpx.stream("POST", CHAT, json=body("Say stream", stream=True), headers=HEADERS) as reply:
            score("events", sum(line.startswith("data") for line in reply.iter_lines()))

    def test_embeddings(score):
        embedder = Embedder("openai/embedding", api_base=URL, api_key=KEY, batch_size=2)
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(embedder, (["one", "two", "three"], ["four", "five"]))
        score("sum", float(np.sum(first) + np.sum(second)) / 1000)

    def test_evaluates(evaluate, lm, score):
        words = ["up", "down", "left"]
        devset = [Example(question=f"Say {word}", answer=word).with_inputs("question") for word in words]
        result = evaluate(Predict("question -> answer"), devset, metric=exact_match("answer"))
        assert result >= 0.9

    def test_broken(lm):
        lm("Say refused")

    @pytest.mark.parametrize("word", ["one", "two"])
    def test_skips(lm, word):
        lm(f"Say {word}")
        pytest.skip(f"after {word}")
"""
FILES = {"conftest.py": CONFTEST, "test_cases.py": CASES, "test_lines_of_work.py": LINES_OF_WORK}


def write_suite(folder: Path) -> None:
    """Write the files of the suite."""
    for name, source in FILES.items():
        (folder / name).write_text(textwrap.dedent(source))


class Model:
    """Answers the suite's requests: the script of an `OpenAIServer`.

    Replies take up to `delay` seconds, by chance, so that they arrive in any order.
    """

    def __init__(self, *, delay: float = 0.02) -> None:
        self._numbers = False
        self._delay = delay
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._chance = random.Random()  # not seeded: each run is to see another order

    def number_samples(self, *, numbers: bool) -> None:
        """Have the answers to equal requests that sample differ, in the order of their arrival, or not."""
        self._numbers = numbers

    def __call__(self, body: dict[str, Any]) -> Reply:
        with self._lock:
            delay = self._chance.random() * self._delay
        if "input" in body:
            rows = [{"index": place, "embedding": _vector(text)} for place, text in enumerate(body["input"])]
            usage = {"prompt_tokens": len(rows), "total_tokens": len(rows)}
            return Reply(body={"data": rows, "model": body["model"], "usage": usage}, delay=delay)
        asked = body["messages"][-1]["content"]
        word = re.findall(r"Say (\w+)", asked)[-1]
        if word == "refused":
            return Reply(body={"error": {"message": "I do not say that", "type": "invalid"}}, status=400, delay=delay)
        text = "" if word == "silent" else word + self._sample(body, asked)
        return Reply(f"[[ ## answer ## ]]\n{text}" if "[[ ##" in asked else text, delay=delay)

    def _sample(self, body: dict[str, Any], asked: str) -> str:
        if not body.get("temperature"):
            return ""
        if not self._numbers:
            return f" {int(hashlib.sha256(asked.encode()).hexdigest()[:4], 16)}"
        with self._lock:
            self._asked[asked] += 1
            return f" {self._asked[asked]}"


def _vector(text: str) -> list[float]:
    return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:4]]


_TIMES = frozenset({"date", "duration", "latency", "recorded"})
# How many calls there were: each worker sets up the shared fixtures of its tests, and takes replies from its own cache.
_COUNTS = frozenset({"notes"})
_ASKED = frozenset({"source"})


def left_behind(folder: Path, report: Path, *, asks: bool) -> dict[str, str]:
    """Return the texts of a session's report and cassettes by their names, without dates, durations and counts.

    Args:
        folder: That of the suite.
        report: The JSON report.
        asks: Whether the session asked a model; then without which replies were from its cache.
    """
    without = _TIMES | _COUNTS | (_ASKED if asks else frozenset())
    found = {"report": json.dumps(_without(json.loads(report.read_text()), without), indent=1)}
    for path in sorted(folder.rglob("cassettes/**/*")):
        if path.is_file():
            lines = [json.dumps(_without(json.loads(line), _TIMES)) for line in path.read_text().splitlines()]
            found[path.relative_to(folder).as_posix()] = "\n".join(lines)
    return found


def _without(value: Any, names: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {name: None if name in names else _without(each, names) for name, each in value.items()}
    return [_without(each, names) for each in value] if isinstance(value, list) else value
