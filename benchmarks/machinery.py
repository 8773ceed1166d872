"""What the machinery around a call costs beside DSPy's: prompts, parsing, cache hits, memory, imports.

Each task is written once, for both libraries; each library does it in a process of its own. The
two take turns, round after round, and the medians are compared. CPU time of the process counts;
where many calls wait for replies at once, wall time; for memory, the bytes that Python has
allocated and not freed, by tracemalloc, after a round and a full garbage collection.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import gc
import importlib
import inspect
import itertools
import os
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import findings
import server
import worker

Library = Any  # the module `dspex_core` or `dspy`
Calls = Callable[[int], object]

LIBRARIES = {"dspex": "dspex_core", "dspy": "dspy"}
SIGNATURE = "question -> answer"
QUESTION = "What is the capital of France?"
TYPED = "text -> label: str, count: int, tags: list[str]"
REPLIES = {
    "ChatAdapter": '[[ ## label ## ]]\ngood\n\n[[ ## count ## ]]\n3\n\n[[ ## tags ## ]]\n["a", "b"]\n\n'
    "[[ ## completed ## ]]",
    "JSONAdapter": '{"label": "good", "count": 3, "tags": ["a", "b"]}',
}
TURN = "[[ ## next_thought ## ]]\nI look.\n\n[[ ## next_tool_name ## ]]\n{}\n\n[[ ## next_tool_args ## ]]\n{}"
SEARCHES, FINISH = TURN.format("search", '{"query": "Paris", "limit": 3}'), TURN.format("finish", "{}")
AGENT_RUN = [*[SEARCHES] * 9, FINISH, "[[ ## reasoning ## ]]\nSo it says.\n\n[[ ## answer ## ]]\nParis"]
CONCURRENCY = 64
LATENCY = 0.005
KEPT_CALLS = 2000
IMPORTS = {
    "dspex": "from dspex_core import Predict, LM, Signature, Evaluate",
    "dspy": "import dspy",
}


def render(library: Library, _url: str, *, demos: int) -> Calls:
    """Render the messages of a call; of ours, as a call does it: with the compiled prompt that `Predict` keeps."""
    signature, adapter, shown = library.Signature(SIGNATURE), library.ChatAdapter(), rows(demos)
    inputs = {"question": QUESTION}
    if is_dspy(library):
        return repeated(lambda: adapter.format(signature, shown, inputs))
    prompt = adapter.compile(signature, shown)
    return repeated(lambda: prompt.messages(adapter.user(signature, inputs)))


def parse(library: Library, _url: str, *, adapter: str) -> Calls:
    signature, reader, reply = library.Signature(TYPED), getattr(library, adapter)(), REPLIES[adapter]
    return repeated(lambda: reader.parse(signature, reply))


def make_signature(library: Library, _url: str) -> Calls:
    return repeated(lambda: library.Signature("q -> a"))


def hit(library: Library, url: str, *, demos: int) -> Calls:
    predict = predictor(library, url, cache=True)
    predict.demos = rows(demos)
    return repeated(lambda: predict(question=QUESTION))


def react(library: Library, _url: str) -> Calls:
    """Let an agent take ten turns and answer; the replies are there already."""
    agent = library.ReAct(SIGNATURE, tools=[search])
    library.configure(lm=scripted(library, itertools.cycle(AGENT_RUN)), adapter=library.ChatAdapter())
    return repeated(lambda: agent(question=QUESTION))


def search(query: str, limit: int = 3) -> list[str]:
    """Find sentences about something."""
    return [f"{query} is mentioned in sentence {number}." for number in range(limit)]


def scripted(library: Library, replies: Iterator[str]) -> Any:
    """Return an LM with the least that each library lets one have: ours with its history, DSPy's without."""
    if not is_dspy(library):
        return library.ScriptedLM(lambda _: next(replies))

    class Scripted(library.BaseLM):  # type: ignore[misc]  # of either library
        def __call__(self, prompt: Any = None, messages: Any = None, **_: Any) -> list[str]:
            return [next(replies)]

    return Scripted("scripted", "chat", 0.0, 1000, cache=False)


def keep_live(library: Library, url: str, *, demos: int) -> Calls:
    """Make calls with different inputs, which the server answers; what stays is the history."""
    ask = ask_each(library, url, cache=False, demos=demos)
    tracemalloc.start()
    return ask


def keep_hits(library: Library, url: str, *, demos: int) -> Calls:
    """Make calls with different inputs, all answered by the cache, which is full before memory is looked at."""
    ask = ask_each(library, url, cache=True, demos=demos)
    ask(KEPT_CALLS)
    tracemalloc.start()
    return ask


def copy(library: Library, _url: str) -> Calls:
    """Copy a program of one predictor with 16 demos, and keep the copies."""

    class Program(library.Module):  # type: ignore[misc]  # of either library
        def __init__(self) -> None:
            super().__init__()
            self.predict = library.Predict(SIGNATURE)

    program, copies = Program(), []
    program.predict.demos = rows(16)
    tracemalloc.start()
    return repeated(lambda: copies.append(program.deepcopy()))


def tasks(library: Library, url: str) -> Calls:
    """Share the calls among tasks of one event loop, which is kept from round to round."""
    predict, runner = predictor(library, url, cache=False), asyncio.Runner()
    if not is_dspy(library):  # LiteLLM's own tasks fail at length when their loop is closed
        atexit.register(runner.close)

    async def some(number: int) -> None:
        for _ in range(number):
            await predict.acall(question=QUESTION)

    async def shared(number: int) -> None:
        await asyncio.gather(*(some(number // CONCURRENCY) for _ in range(CONCURRENCY)))

    return lambda number: runner.run(shared(number))


def threads(library: Library, url: str) -> Calls:
    """Share the calls among threads, which are kept from round to round."""
    predict, pool = predictor(library, url, cache=False), ThreadPoolExecutor(CONCURRENCY)
    some = repeated(lambda: predict(question=QUESTION))
    return lambda number: list(pool.map(some, [number // CONCURRENCY] * CONCURRENCY))


def ask_each(library: Library, url: str, *, cache: bool, demos: int) -> Calls:
    predict = predictor(library, url, cache=cache)
    predict.demos = rows(demos)

    def calls(number: int) -> None:
        for index in range(number):
            predict(question=f"What is the capital of country {index}?")

    return calls


def predictor(library: Library, url: str, *, cache: bool) -> Any:
    """Return a predictor that asks the server through the library's own engine, with a cache in memory if any."""
    engine: dict[str, str] = {}
    if is_dspy(library):
        library.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
        if "engine" in inspect.signature(library.LM.__init__).parameters:  # DSPy 3.3 has LiteLLM only
            engine = {"engine": "lm15"}
    else:
        from dspex_core.lm.cache import ResponseCache

        library.configure(cache=ResponseCache())
        engine = {"engine": "direct"}
    library.configure(lm=library.LM("openai/x", api_base=url, api_key="k", cache=cache, **engine))
    return library.Predict(SIGNATURE)


def rows(number: int) -> list[dict[str, str]]:
    return [{"question": f"What is the capital of country {index}?", "answer": "Paris"} for index in range(number)]


def repeated(call: Callable[[], object]) -> Calls:
    def calls(number: int) -> None:
        for _ in range(number):
            call()

    return calls


def is_dspy(library: Library) -> bool:
    return bool(library.__name__ == "dspy")


def kept_bytes() -> float:
    """The clock of what is about memory."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@dataclass(frozen=True)
class Measurement:
    """A task that both libraries do.

    Args:
        what: What it is called in the report.
        task: Makes what is timed, for a library and the address of the server.
        bar: The ratio of ours to DSPy's that is aimed at.
        calls: How many are made in a round.
        clock: What is measured.
        unit: The report's, and how many of it are one of the clock's.
        rounds: How often it is measured, where the command line does not decide.
        most: The most that ours may take, in the unit, where the bar is no ratio.
        latency: Seconds that the server takes to answer.
    """

    what: str
    task: Callable[..., Calls]
    bar: float | None = None
    calls: int = 500
    clock: Callable[[], float] = time.process_time
    unit: tuple[str, float] = ("us", 1e6)
    rounds: int | None = None
    most: float | None = None
    latency: float = 0.0


Kept = partial(Measurement, clock=kept_bytes, unit=("bytes", 1), rounds=1, most=1000)
AtOnce = partial(
    Measurement, bar=1 / 3, calls=10 * CONCURRENCY, clock=time.perf_counter, unit=("ms", 1e3), rounds=7, latency=LATENCY
)

MEASUREMENTS = {
    "render_16": Measurement("prompt with 16 demos", partial(render, demos=16), 1 / 50),
    "parse_chat": Measurement("three typed fields, chat", partial(parse, adapter="ChatAdapter"), 1 / 4),
    "parse_json": Measurement("three typed fields, JSON", partial(parse, adapter="JSONAdapter"), 1 / 4),
    "hit": Measurement("Predict, memory cache hit", partial(hit, demos=0), 0.06),
    "hit_16": Measurement("the same with 16 demos", partial(hit, demos=16), 1 / 30),
    "react": Measurement("ReAct, ten turns and the answer", react, 1 / 4, calls=50, unit=("ms", 1e3)),
    "signature": Measurement('Signature("q -> a")', make_signature, 1 / 3),
    "tasks": AtOnce(f"a call, {CONCURRENCY} tasks at once, wall", tasks),
    "threads": AtOnce(f"a call, {CONCURRENCY} threads at once, wall", threads),
    "keep_live": Kept("kept by a call", partial(keep_live, demos=0), calls=KEPT_CALLS),
    "keep_hits": Kept("kept by a cache hit", partial(keep_hits, demos=0), calls=KEPT_CALLS),
    "keep_live_16": Kept("kept by a call with 16 demos", partial(keep_live, demos=16), calls=KEPT_CALLS),
    "copy": Kept("a copy of a program with 16 demos", copy, calls=1000),
}
# Of ours alone, to see whether the number of demos matters.
RENDERINGS = {
    f"render_{demos}": Measurement(f"prompt with {demos} demos", partial(render, demos=demos)) for demos in (64, 0)
}
TASKS = MEASUREMENTS | RENDERINGS


def client(library: str, name: str) -> worker.Client:
    return lambda url: TASKS[name].task(importlib.import_module(LIBRARIES[library]), url)


CLIENTS = {f"{library}_{name}": client(library, name) for library in LIBRARIES for name in TASKS}

Row = tuple[object, ...]


def compare(name: str, options: argparse.Namespace) -> Row:
    """Let both libraries do a task."""
    measured = MEASUREMENTS[name]
    clients = [f"{library}_{name}" for library in LIBRARIES if options.dspy_python or library != "dspy"]
    taken = per_call(measured, clients, options)
    return row(measured.what, measured.unit, taken, bar=measured.bar, most=measured.most)


def independence(options: argparse.Namespace) -> Row:
    """Compare our own prompts with many demos and with none."""
    taken = per_call(RENDERINGS["render_64"], [f"dspex_{name}" for name in RENDERINGS], options)
    return row("prompt with 64 demos / with none, both ours", ("us", 1e6), taken, bar=1.25)


def imports(options: argparse.Namespace) -> Row:
    """Compare the CPU that fresh interpreters take for the imports, all bytecode cached."""
    pythons = {"dspex": sys.executable, "dspy": options.dspy_python}
    seconds: dict[str, list[float]] = {library: [] for library in LIBRARIES if pythons[library]}
    for library in seconds:
        cpu_seconds(pythons[library], IMPORTS[library])  # writes the bytecode
    for _ in range(options.rounds):
        for library, taken in seconds.items():
            taken.append(cpu_seconds(pythons[library], IMPORTS[library]))
    return row(IMPORTS["dspex"], ("ms", 1e3), [*map(statistics.median, seconds.values())], bar=0.4)


def row(
    what: str, unit: tuple[str, float], taken: list[float], *, bar: float | None = None, most: float | None = None
) -> Row:
    """Return a line of the report from what ours took and, if it was measured, the peer."""
    name, factor = unit
    ours, *peers = [factor * value for value in taken]
    ratios = [ours / peer for peer in peers]
    met = [ratio <= bar for ratio in ratios if bar is not None] + ([ours <= most] if most is not None else [])
    shown = f"{most:g} {name}" if most is not None else "" if bar is None else f"{bar:.3f}"
    return (
        what,
        name,
        ours,
        *(peers or [None]),
        *(ratios or [None]),
        shown,
        "".join("yes" if m else "no" for m in met),
    )


def per_call(measured: Measurement, clients: list[str], options: argparse.Namespace) -> list[float]:
    """Return what one call takes each of the clients, by the clock of the measurement."""
    calls = measured.calls
    with server.running(measured.latency) as url:
        taken = worker.measure(clients, url, options, calls=calls, warm_up=min(calls, 200), rounds=measured.rounds)
    return [taken[name] / calls for name in clients]


def cpu_seconds(python: str, statement: str) -> float:
    """Return the user and system time of a whole process that runs a statement."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", statement], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = [*MEASUREMENTS, "independence", "imports"]
    parser.add_argument("--only", choices=chosen, action="append", help="default: all of them")
    worker.add_options(parser, CLIENTS, rounds=15)
    options = parser.parse_args()
    if options.client:
        clock = TASKS[options.client.partition("_")[2]].clock
        worker.work(CLIENTS[options.client], options.url, clock)
        return
    from tabulate import tabulate  # not among what DSPy's environment has

    others = {"independence": independence, "imports": imports}
    rows = [others[name](options) if name in others else compare(name, options) for name in options.only or chosen]
    findings.write(
        (findings.Finding(what, ours, unit, peer, ratio, bar, met) for what, unit, ours, peer, ratio, bar, met in rows),
        options,
    )
    print(tabulate(rows, ("what", "unit", "ours", "peer", "ratio", "bar", "met"), floatfmt=".3f"))


if __name__ == "__main__":
    main()
