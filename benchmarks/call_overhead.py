"""How much CPU a call costs over a loopback server that answers at once, beside its peers.

Each client runs in a process of its own against the same server; they take turns, round after
round, and the median of the rounds counts. Only CPU time of the client's process is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import server

if TYPE_CHECKING:
    from collections.abc import Callable

Call = Callable[[], object] if TYPE_CHECKING else object

QUESTION = "What is the capital of France?"
SIGNATURE = "question -> answer"
MESSAGES = [
    {"role": "system", "content": "Answer the question. " * 40},
    {"role": "user", "content": QUESTION},
]

# What each client does is imported inside its function: it runs in its own process, DSPy's even in
# another environment.


def dspex_predict(url: str) -> Call:
    import dspex_core

    dspex_core.configure(lm=dspex_core.LM("openai/x", api_base=url, api_key="k", cache=False, engine="direct"))
    predict = dspex_core.Predict(SIGNATURE)
    return lambda: predict(question=QUESTION)


def dspex_hit(url: str) -> Call:
    import dspex_core
    from dspex_core.lm.cache import ResponseCache

    dspex_core.configure(lm=dspex_core.LM("openai/x", api_base=url, api_key="k"), cache=ResponseCache())
    predict = dspex_core.Predict(SIGNATURE)
    return lambda: predict(question=QUESTION)


def dspex_litellm(url: str) -> Call:
    import dspex_core

    lm = dspex_core.LM("openai/x", api_base=url, api_key="k", cache=False, engine="litellm")
    return lambda: lm(messages=MESSAGES)


def dspy_predict(url: str) -> Call:
    import dspy

    dspy.configure(lm=dspy.LM("openai/x", api_base=url, api_key="k", cache=False, engine="lm15"))
    predict = dspy.Predict(SIGNATURE)
    return lambda: predict(question=QUESTION)


def dspy_hit(url: str) -> Call:
    import dspy

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    dspy.configure(lm=dspy.LM("openai/x", api_base=url, api_key="k", engine="lm15"))
    predict = dspy.Predict(SIGNATURE)
    return lambda: predict(question=QUESTION)


def bare_urllib3(url: str) -> Call:
    """Post the very messages that `dspex_predict` sends."""
    import urllib3

    import dspex_core

    messages = dspex_core.ChatAdapter().format(dspex_core.Predict(SIGNATURE).signature, (), {"question": QUESTION})
    pool = urllib3.PoolManager()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer k"}

    def call() -> object:
        body = json.dumps({"model": "x", "messages": messages})
        reply = pool.request("POST", f"{url}/chat/completions", body=body, headers=headers)
        return json.loads(reply.data)["choices"][0]["message"]["content"]

    return call


def bare_litellm(url: str) -> Call:
    import litellm

    return lambda: litellm.completion(model="openai/x", messages=MESSAGES, api_base=url, api_key="k")


CLIENTS: dict[str, Callable[[str], Call]] = {
    client.__name__: client
    for client in (dspex_predict, bare_urllib3, dspy_predict, dspex_litellm, bare_litellm, dspex_hit, dspy_hit)
}


@dataclass(frozen=True)
class Comparison:
    """One line of the report."""

    what: str
    ours: str
    peer: str
    bar: float


COMPARISONS = (
    Comparison("Predict, direct engine / dspy.Predict", "dspex_predict", "dspy_predict", 0.35),
    Comparison("Predict, direct engine / bare urllib3", "dspex_predict", "bare_urllib3", 2.0),
    Comparison("LM, litellm engine / litellm.completion", "dspex_litellm", "bare_litellm", 1.05),
    Comparison("Predict, memory cache hit / dspy's", "dspex_hit", "dspy_hit", 0.10),
)


class Worker:
    """A process in which one client makes calls when told to."""

    def __init__(self, name: str, python: str, url: str) -> None:
        environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        self._process = subprocess.Popen(
            [python, __file__, "--client", name, "--url", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def milliseconds(self, calls: int) -> float:
        """Make so many calls and return the CPU time of one."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        print(calls, file=process.stdin, flush=True)
        return float(process.stdout.readline()) / calls * 1000

    def close(self) -> None:
        self._process.communicate()  # end of input ends it


def work(client: str, url: str) -> None:
    """Be a worker: read a number of calls, make them, print the CPU seconds they took."""
    call = CLIENTS[client](url)
    for line in sys.stdin:
        started = time.process_time()
        for _ in range(int(line)):
            call()
        print(time.process_time() - started, flush=True)


def measure(names: list[str], options: argparse.Namespace) -> dict[str, float]:
    """Return the median CPU milliseconds of a call of each client."""
    rounds: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        url = stack.enter_context(server.running())
        workers = {}
        for name in names:
            python = options.dspy_python if name.startswith("dspy_") else sys.executable
            workers[name] = Worker(name, python, url)
            stack.callback(workers[name].close)
            workers[name].milliseconds(max(options.calls // 4, 20))  # imports, connections, caches
        for _ in range(options.rounds):
            for name, worker in workers.items():
                rounds[name].append(worker.milliseconds(options.calls))
    return {name: statistics.median(times) for name, times in rounds.items()}


def report(comparisons: list[Comparison], costs: dict[str, float]) -> None:
    from tabulate import tabulate

    rows = []
    for line in comparisons:
        ratio = costs[line.ours] / costs[line.peer]
        rows.append(
            (line.what, costs[line.ours], costs[line.peer], ratio, line.bar, "yes" if ratio <= line.bar else "no")
        )
    print(tabulate(rows, ("ours / peer", "ours, ms", "peer, ms", "ratio", "bar", "met"), floatfmt=".3f"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dspy-python", metavar="PATH", help="a Python in which DSPy 3.4 is installed")
    parser.add_argument("--calls", type=int, default=200, help="calls of each client in a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        work(options.client, options.url)
        return
    comparisons = [line for line in COMPARISONS if options.dspy_python or not line.peer.startswith("dspy_")]
    names = [name for name in CLIENTS if any(name in (line.ours, line.peer) for line in comparisons)]
    report(comparisons, measure(names, options))


if __name__ == "__main__":
    main()
