"""Clients in processes of their own, which take turns: what one does costs the others nothing.

A script has a table of clients, functions that take the server's address and return what is to
be timed, a function of a number of calls. `Worker` starts the same script again with `--client`,
maybe in the Python of another environment, and there `work` answers it.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import findings

Client = Callable[[str], Callable[[int], object]]


class Worker:
    """A process in which one client makes calls when told to."""

    def __init__(self, script: str, client: str, *, python: str, url: str) -> None:
        self._process = subprocess.Popen(
            [python, script, "--client", client, "--url", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # No download at import; and strings hash alike, or dicts would be faster for one client by chance.
            env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONHASHSEED": "0"},
        )

    def seconds(self, calls: int) -> float:
        """Let it make so many calls and return the seconds they took, all together."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        print(calls, file=process.stdin, flush=True)
        return float(process.stdout.readline())

    def close(self) -> None:
        """End it; the end of its input does."""
        self._process.communicate()


def work(client: Client, url: str, clock: Callable[[], float]) -> None:
    """Be a worker: read a number of calls, make them, print the seconds they took."""
    run = client(url)
    for line in sys.stdin:
        started = clock()
        run(int(line))
        print(clock() - started, flush=True)


def add_options(parser: argparse.ArgumentParser, clients: Mapping[str, Client], *, rounds: int) -> None:
    """Declare what all scripts with workers take."""
    parser.add_argument("--dspy-python", metavar="PATH", help="a Python in which DSPy is installed")
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each client has its turn")
    parser.add_argument("--client", choices=clients, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    findings.add_option(parser)


def measure(
    names: list[str], url: str, options: argparse.Namespace, *, calls: int, warm_up: int, rounds: int | None = None
) -> dict[str, float]:
    """Return the median seconds that each client takes for its calls; the options say in how many rounds by default."""
    times = in_turn(names, url, options, calls=calls, warm_up=warm_up, rounds=rounds or options.rounds)
    return {name: statistics.median(taken) for name, taken in times.items()}


def in_turn(
    names: list[str], url: str, options: argparse.Namespace, *, calls: int, warm_up: int, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds that each client takes for its calls, round by round; every second round goes backwards."""
    times: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        workers = {}
        for name in names:
            python = options.dspy_python if is_dspy(name) else sys.executable
            workers[name] = Worker(sys.argv[0], name, python=python, url=url)
            stack.callback(workers[name].close)
            workers[name].seconds(warm_up)  # imports, connections, caches
        for number in range(rounds):
            for name in names if number % 2 else reversed(names):
                times[name].append(workers[name].seconds(calls))
    return times


def ratio(ours: list[float], peers: list[float]) -> tuple[float, float, float]:
    """Return the median of the rounds' ratios, and its 95 % interval by order statistics.

    What else the machine does affects both of a round alike, but rounds differently.
    """
    ratios = sorted(our / peer for our, peer in zip(ours, peers, strict=True))
    off = round(0.98 * math.sqrt(len(ratios)))
    middle = (len(ratios) - 1) / 2
    low, high = max(0, math.floor(middle) - off), min(len(ratios) - 1, math.ceil(middle) + off)
    return statistics.median(ratios), ratios[low], ratios[high]


def is_dspy(name: str) -> bool:
    """Tell whether a client needs the environment with DSPy."""
    return name.startswith("dspy_")
