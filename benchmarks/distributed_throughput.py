"""A metric that takes CPU time, on Dask's workers against this process: examples a second.

    python benchmarks/distributed_throughput.py [WORKERS]

The last line is the factor. It needs pytest-dspex[distributed], and as many free cores as workers.
"""

import logging
import sys
import time

from distributed import Client, LocalCluster

from dspex_core import Evaluate, Example

EXAMPLES = 48
ROUNDS = 400_000  # about 20 ms


def echo(question):
    """Answer with the question."""
    return Example(answer=question)


def slow(example, prediction, trace=None):  # noqa: ARG001  the contract of a metric
    """Compare after some arithmetic."""
    total = 0
    for number in range(ROUNDS):
        total += number * number % 7
    return float(total > 0 and example.question == prediction.answer)


def seconds(evaluate, **options):
    """Time one evaluation."""
    started = time.perf_counter()
    result = evaluate(echo, **options)
    assert result.score == 100.0, result.errors
    return time.perf_counter() - started


def main(workers):
    """Print examples a second of both."""
    devset = [Example(question=str(number)).with_inputs("question") for number in range(EXAMPLES)]
    evaluate = Evaluate(devset=devset, metric=slow)
    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options, silence_logs=logging.CRITICAL) as cluster, Client(cluster) as client:
        executor = client.get_executor()
        seconds(evaluate, executor=executor)  # the workers import what they need
        away = min(seconds(evaluate, executor=executor, num_threads=2 * workers) for _ in range(3))
        home = min(seconds(evaluate, num_threads=1) for _ in range(3))
    print(f"this process         {EXAMPLES / home:8.1f} examples a second")
    print(f"{workers} workers of Dask    {EXAMPLES / away:8.1f} examples a second")
    print(f"factor               {home / away:8.2f}")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
