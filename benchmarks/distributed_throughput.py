"""A metric that takes CPU time, in the workers of an executor against this process: examples a second.

    python benchmarks/distributed_throughput.py [dask|processes] [WORKERS] [MILLISECONDS]

The last lines are the factor, and that of the same arithmetic in as many bare processes: what the machine's cores give
at this moment, which no executor can exceed. The CPU time for an example is that of this process and of the workers
beyond the same work at home. It needs pytest-dspex[distributed] for Dask, and as many free cores as workers.
"""

import logging
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from dspex_core import Evaluate, Example

EXAMPLES = 96
ROUNDS_A_MILLISECOND = 17_000
REPEATS = 3


def echo(question):
    """Answer with the question."""
    return Example(answer=question)


def arithmetic(rounds):
    """Use the CPU."""
    total = 0
    for number in range(rounds):
        total += number * number % 7
    return total


def slow(rounds, example, prediction, trace=None):  # noqa: ARG001  the contract of a metric
    """Compare after some arithmetic."""
    return float(arithmetic(rounds) >= 0 and example.question == prediction.answer)


def many(count, rounds):
    """Do the arithmetic of many examples, in a bare process."""
    for _ in range(count):
        arithmetic(rounds)


def cpu_of(processes):
    """Return the CPU seconds of other processes (Linux)."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in processes]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


@contextmanager
def executor_of(kind, workers):
    """Start workers; yield the executor and their process ids."""
    if kind == "processes":
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as executor:
            pids = set()
            while len(pids) < workers:
                pids |= set(executor.map(_pid_after, [0.05] * workers))
            yield executor, pids
        return
    from distributed import Client, LocalCluster

    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options, silence_logs=logging.CRITICAL) as cluster, Client(cluster) as client:
        yield client.get_executor(), set(client.run(os.getpid).values())


def _pid_after(seconds):
    time.sleep(seconds)
    return os.getpid()


def timed(evaluate, pids=(), **options):
    """Return the wall seconds of one evaluation, and the CPU seconds of this process and of the workers."""
    here, there, started = time.process_time(), cpu_of(pids), time.perf_counter()
    result = evaluate(echo, **options)
    assert result.score == 100.0, result.errors
    return time.perf_counter() - started, time.process_time() - here, cpu_of(pids) - there


def bare(workers, rounds):
    """Return how much faster bare processes are than one."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        share = [(EXAMPLES // workers, rounds)] * workers
        pool.starmap(many, [(1, 1)] * workers)
        found = []
        for count in (1, workers):
            started = time.perf_counter()
            pool.starmap(many, share[:count], chunksize=1)
            found.append(time.perf_counter() - started)
    return workers * found[0] / found[1]


def main(kind, workers, milliseconds):
    """Print examples a second of both."""
    rounds = milliseconds * ROUNDS_A_MILLISECOND
    devset = [Example(question=str(number)).with_inputs("question") for number in range(EXAMPLES)]
    evaluate = Evaluate(devset=devset, metric=partial(slow, rounds))
    quick = Evaluate(devset=devset, metric=partial(slow, 1))
    with executor_of(kind, workers) as (executor, pids):
        far = {"executor": executor, "num_threads": 2 * workers}
        timed(evaluate, **far)  # the workers import what they need
        rounds_of = [
            (timed(evaluate, pids, **far), timed(evaluate, num_threads=1), bare(workers, rounds))
            for _ in range(REPEATS)
        ]
        overhead = min(timed(quick, pids, **far)[1:] for _ in range(REPEATS))
    away, home = min(each[0][0] for each in rounds_of), min(each[1][0] for each in rounds_of)
    print(f"this process             {EXAMPLES / home:8.1f} examples a second")
    print(f"{workers} workers ({kind})       {EXAMPLES / away:8.1f} examples a second")
    print(f"CPU for a short example  {1e3 * overhead[0] / EXAMPLES:8.2f} ms here")
    print(f"                         {1e3 * overhead[1] / EXAMPLES:8.2f} ms in workers")
    here = min(each[0][1] for each in rounds_of)
    print(
        f"CPU for this example     {1e3 * here / EXAMPLES:8.2f} ms here, beside {1e3 * home / EXAMPLES:.1f} ms of work"
    )
    print(f"factor of bare processes {max(each[2] for each in rounds_of):8.2f}")
    print(f"factor                   {home / away:8.2f}")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asked = dict(enumerate(sys.argv[1:]))
    main(asked.get(0, "dask"), int(asked.get(1, 2)), int(asked.get(2, 25)))
