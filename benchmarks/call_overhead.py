"""How much CPU a call costs over a loopback server that answers at once, beside its peers.

Each client runs in a process of its own against the same server; they take turns in many short
rounds, and the median of the rounds' ratios counts, with its 95 % interval. As two processes with
the same code differ by some percent, each client gets several, one after the other. Only CPU time
of the client's process is measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import findings
import server
import worker

Calls = Callable[[int], object]

QUESTION = "What is the capital of France?"
SIGNATURE = "question -> answer"
MESSAGES = [
    {"role": "system", "content": "Answer the question. " * 40},
    {"role": "user", "content": QUESTION},
]


def repeated(call: Callable[[], object]) -> Calls:
    def calls(number: int) -> None:
        for _ in range(number):
            call()

    return calls


# What each client needs is imported inside its function: it runs in its own process, DSPy's even in
# another environment.


def dspex_predict(url: str) -> Calls:
    import dspex_core

    dspex_core.configure(lm=dspex_core.LM("openai/x", api_base=url, api_key="k", cache=False, engine="direct"))
    predict = dspex_core.Predict(SIGNATURE)
    return repeated(lambda: predict(question=QUESTION))


def dspex_hit(url: str) -> Calls:
    import dspex_core
    from dspex_core.lm.cache import ResponseCache

    dspex_core.configure(lm=dspex_core.LM("openai/x", api_base=url, api_key="k"), cache=ResponseCache())
    predict = dspex_core.Predict(SIGNATURE)
    return repeated(lambda: predict(question=QUESTION))


def dspex_litellm(url: str) -> Calls:
    import dspex_core

    lm = dspex_core.LM("openai/x", api_base=url, api_key="k", cache=False, engine="litellm")
    return repeated(lambda: lm(messages=MESSAGES))


def dspy_predict(url: str) -> Calls:
    import dspy

    dspy.configure(lm=dspy.LM("openai/x", api_base=url, api_key="k", cache=False, engine="lm15"))
    predict = dspy.Predict(SIGNATURE)
    return repeated(lambda: predict(question=QUESTION))


def dspy_hit(url: str) -> Calls:
    import dspy

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    dspy.configure(lm=dspy.LM("openai/x", api_base=url, api_key="k", engine="lm15"))
    predict = dspy.Predict(SIGNATURE)
    return repeated(lambda: predict(question=QUESTION))


def bare_urllib3(url: str) -> Calls:
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

    return repeated(call)


def bare_litellm(url: str) -> Calls:
    import litellm

    return repeated(lambda: litellm.completion(model="openai/x", messages=MESSAGES, api_base=url, api_key="k"))


CLIENTS: dict[str, worker.Client] = {
    client.__name__: client
    for client in (dspex_predict, bare_urllib3, dspy_predict, dspex_litellm, bare_litellm, dspex_hit, dspy_hit)
}


@dataclass(frozen=True)
class Comparison:
    """Our client and a peer; `bar` is the ratio of their costs that is aimed at."""

    what: str
    ours: str
    peer: str
    bar: float


@dataclass(frozen=True)
class Group:
    """Comparisons whose clients take turns, each with so many calls in a round, after so many to warm up."""

    calls: int
    warm_up: int
    comparisons: tuple[Comparison, ...]


GROUPS = (
    Group(
        50,
        500,
        (
            Comparison("Predict, direct engine / dspy.Predict", "dspex_predict", "dspy_predict", 0.35),
            Comparison("Predict, direct engine / bare urllib3", "dspex_predict", "bare_urllib3", 1.15),
        ),
    ),
    Group(10, 100, (Comparison("LM, litellm engine / litellm.completion", "dspex_litellm", "bare_litellm", 1.05),)),
    Group(300, 1000, (Comparison("Predict, memory cache hit / dspy's", "dspex_hit", "dspy_hit", 0.10),)),
)


def compare(group: Group, url: str, options: argparse.Namespace) -> list[tuple[object, ...]]:
    """Measure the clients of a group and return the rows of the report."""
    comparisons = [line for line in group.comparisons if options.dspy_python or not worker.is_dspy(line.peer)]
    names = [name for name in CLIENTS if any(name in (line.ours, line.peer) for line in comparisons)]
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.processes):
        taken = worker.in_turn(
            names, url, options, calls=group.calls, warm_up=group.warm_up, rounds=options.rounds // options.processes
        )
        for name in names:
            times[name] += taken[name]
    rows: list[tuple[object, ...]] = []
    for line in comparisons:
        ours, peer = (1000 * min(times[name]) / group.calls for name in (line.ours, line.peer))
        ratio, low, high = worker.ratio(times[line.ours], times[line.peer])
        met = "yes" if ratio <= line.bar else "no"
        rows.append((line.what, ours, peer, ratio, f"{low:.3f} to {high:.3f}", line.bar, met))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    worker.add_options(parser, CLIENTS, rounds=120)
    parser.add_argument("--processes", type=int, default=3, help="how many processes each client has, one by one")
    options = parser.parse_args()
    if options.client:
        worker.work(CLIENTS[options.client], options.url, time.process_time)
        return
    from tabulate import tabulate  # not among what DSPy's environment has

    with server.running() as url:
        rows = [row for group in GROUPS for row in compare(group, url, options)]
    findings.write(
        (
            findings.Finding(what, ours, "ms", peer, ratio, f"{bar:g}", met)
            for what, ours, peer, ratio, _, bar, met in rows
        ),
        options,
    )
    print(tabulate(rows, ("ours / peer", "ours, ms", "peer, ms", "ratio", "95 %", "bar", "met"), floatfmt=".3f"))


if __name__ == "__main__":
    main()
