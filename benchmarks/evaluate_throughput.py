"""How long an evaluation of 1,000 examples takes when each reply takes 20 ms and 32 or 128 run at once.

Each client runs in a process of its own, they take turns, and the median of the rounds counts. Ours are
compared with a bare aiohttp loop of the same run; the ideal, which is shown beside, is
examples / concurrency * latency. No cache is in use. With `--cpu`, CPU time of the client's process is
measured instead of wall time, which says more on a machine that does other work.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import os
import time
from functools import partial
from typing import TYPE_CHECKING

import findings
import server
import worker

if TYPE_CHECKING:
    from collections.abc import Callable

BARS = {32: 1.25, 128: 1.4}  # times the bare aiohttp loop, by how many run at once
CPU_VARIABLE = "DSPEX_BENCHMARK_CPU"
SIGNATURE = "question -> answer"


def dspex_evaluate(url: str, width: int) -> Callable[[int], object]:
    evaluation, program = _dspex(url, width)
    return lambda examples: evaluation(program, devset=_dspex_examples(examples))


def dspex_evaluate_async(url: str, width: int) -> Callable[[int], object]:
    evaluation, program = _dspex(url, width)
    runner = _runner()
    return lambda examples: runner.run(evaluation.acall(program, devset=_dspex_examples(examples)))


def dspy_evaluate(url: str, width: int) -> Callable[[int], object]:
    import dspy

    dspy.disable_logging()
    dspy.configure(lm=dspy.LM("openai/x", api_base=url, api_key="k", cache=False, engine="lm15"))
    program = dspy.Predict(SIGNATURE)

    def evaluate(examples: int) -> None:
        devset = [dspy.Example(**row).with_inputs("question") for row in _rows(examples)]
        dspy.Evaluate(devset=devset, metric=_metric, num_threads=width)(program)

    return evaluate


def raw_aiohttp(url: str, width: int) -> Callable[[int], object]:
    import aiohttp

    runner = _runner()

    async def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    session = runner.run(open_session())
    atexit.register(lambda: runner.run(session.close()))

    async def post(questions: list[str]) -> None:
        while questions:
            message = {"role": "user", "content": questions.pop()}
            async with session.post(f"{url}/chat/completions", json={"model": "x", "messages": [message]}) as reply:
                await reply.json()

    async def post_all(examples: int) -> None:
        questions = [row["question"] for row in _rows(examples)]
        async with asyncio.TaskGroup() as tasks:
            for _ in range(width):
                tasks.create_task(post(questions))

    return lambda examples: runner.run(post_all(examples))


def _runner() -> asyncio.Runner:
    """Return an event loop that is kept from round to round, and with it the connections, as threads keep theirs."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner


def _dspex(url: str, width: int):
    import dspex_core

    dspex_core.configure(lm=dspex_core.LM("openai/x", api_base=url, api_key="k", cache=False, engine="direct"))
    evaluation = dspex_core.Evaluate(devset=(), metric=_metric, num_threads=width)
    return evaluation, dspex_core.Predict(SIGNATURE)


def _dspex_examples(examples: int):
    import dspex_core

    return [dspex_core.Example(**row).with_inputs("question") for row in _rows(examples)]


def _rows(examples: int) -> list[dict[str, str]]:
    return [{"question": f"What is the capital of country {number}?", "answer": "Paris"} for number in range(examples)]


def _metric(example, prediction) -> bool:
    return example.answer == prediction.answer


CLIENTS: dict[str, worker.Client] = {
    f"{client.__name__}_{width}": partial(client, width=width)
    for width in BARS
    for client in (dspex_evaluate, dspex_evaluate_async, raw_aiohttp, dspy_evaluate)
}


def report(seconds: dict[str, float], options: argparse.Namespace) -> None:
    from tabulate import tabulate

    rows, found = [], []
    for name, taken in seconds.items():
        client, _, width = name.rpartition("_")
        ratio, bar = taken / seconds[f"raw_aiohttp_{width}"], BARS[int(width)]
        bar, met = (bar, "yes" if ratio <= bar else "no") if client.startswith("dspex_") else ("", "")
        rows.append((client, width, taken, options.examples / int(width) * options.latency, ratio, bar, met))
        if client != "raw_aiohttp":
            figure = f"{options.examples} examples, {width} at once, {client} / bare aiohttp"
            found.append(findings.Finding(figure, taken, "s", seconds[f"raw_aiohttp_{width}"], ratio, f"{bar}", met))
    findings.write(found, options)
    clock = "CPU, s" if options.cpu else "wall, s"
    print(tabulate(rows, ("client", "at once", clock, "ideal, s", "times aiohttp", "bar", "met"), floatfmt=".3f"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.02, metavar="SECONDS", help="how long a reply takes")
    parser.add_argument("--cpu", action="store_true", help="measure CPU time of the clients")
    worker.add_options(parser, CLIENTS, rounds=5)
    options = parser.parse_args()
    if options.client:
        clock = time.process_time if os.environ.get(CPU_VARIABLE) else time.perf_counter
        worker.work(CLIENTS[options.client], options.url, clock)
        return
    if options.cpu:
        os.environ[CPU_VARIABLE] = "1"  # for the workers
    names = [name for name in CLIENTS if options.dspy_python or not worker.is_dspy(name)]
    with server.running(options.latency) as url:
        seconds = worker.measure(names, url, options, calls=options.examples, warm_up=2 * max(BARS))
    report(seconds, options)


if __name__ == "__main__":
    main()
