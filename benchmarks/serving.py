"""What a served program costs, what becomes of requests while workers crash and hang, and whether memory stays flat.

The service is a process of its own, whose workers run a program with a scripted LM that answers at once.

    python benchmarks/serving.py              overhead, then 2,000 requests at concurrency 64 with faults
    python benchmarks/serving.py --soak 30    30 minutes of requests, with the memory of all processes
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import findings

import dspex_core as dspy

REQUESTS, CONCURRENCY = 2000, 64
CRASHES, HANGS = 0.05, 0.02
BAR_MS = 2.0
BAR_GROWTH = 0.05  # of the memory at the start of a soak's second half, until its end
WORKERS = 4
PATH = "/programs/faulty"
CODES = {"worker_crashed", "timed_out", "busy"}  # the typed errors that faults may cause
SAMPLE_SECONDS = 2.0


class Faulty(dspy.Module):
    """Answer, or fail in the way that the request asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.Predict("question -> answer")
        self.answer.set_lm(dspy.ScriptedLM(lambda _: {"answer": "Paris"}))

    async def aforward(self, question: str, fault: str = "") -> dspy.Prediction:
        if fault == "exit":
            os._exit(7)
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "block":
            time.sleep(3600)  # noqa: ASYNC251  the fault: the event loop of the worker stands still
        if fault == "thread":
            await dspy.asyncify(time.sleep)(3600)
        if fault == "wait":
            await asyncio.sleep(3600)
        return await self.answer.acall(question=question)


def program() -> Faulty:
    """Return the program, in each worker."""
    return Faulty()


@dataclass
class Answer:
    """What became of a request."""

    fault: str
    code: str
    seconds: float


def serve(given: argparse.Namespace) -> None:
    """Serve the program until SIGTERM, and print where."""
    import logging

    from dspex_core.serve.contract import describe
    from dspex_core.serve.made import service_of
    from dspex_core.serve.running import listening, run, url_of
    from dspex_core.serve.workers.options import WorkerOptions
    from dspex_core.serve.workers.setup import WorkerSetup
    from dspex_core.serve.workers.supervisor import Supervisor

    logging.getLogger("dspex").setLevel(logging.CRITICAL)
    options = WorkerOptions(workers=given.workers, calls_at_once=CONCURRENCY // given.workers, beat=0.5, grace=2.0)
    backend = Supervisor(describe(program()), WorkerSetup(factory="serving:program"), options)
    service = service_of([backend], options={"timeout": given.timeout, "concurrency": CONCURRENCY, "drain": 5.0})
    listener = listening("127.0.0.1", 0)
    run(service, listener, lambda: print(url_of(listener), flush=True))


@asynccontextmanager
async def service(*, workers: int, timeout: float):  # noqa: ASYNC109  an option of the service
    """Run the service in a process, and yield its URL and id."""
    command = [sys.executable, __file__, "--serve", "--workers", str(workers), "--timeout", str(timeout)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220  it stays for long
        assert process.stdout is not None
        url = await asyncio.to_thread(process.stdout.readline)
        try:
            yield url.strip(), process.pid
        finally:
            process.terminate()


@asynccontextmanager
async def session():
    """Yield a client that keeps connections."""
    import aiohttp

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONCURRENCY), timeout=aiohttp.ClientTimeout(total=300)
    ) as client:
        yield client


async def ask(client, url: str, fault: str) -> Answer:
    """Send a request."""
    import aiohttp

    began = time.perf_counter()
    try:
        async with client.post(url + PATH, json={"question": "The capital?", "fault": fault}) as response:
            body = await response.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        return Answer(fault, f"LOST: {type(error).__name__}", time.perf_counter() - began)
    code = "answered" if response.status == 200 and body.get("answer") == "Paris" else body["error"]["code"]
    return Answer(fault, code, time.perf_counter() - began)


async def in_process(number: int) -> list[float]:
    """Return the seconds of calls of the program in this process, as a service makes them."""
    from dspex_core.serve.contract import contract_of
    from dspex_core.serve.in_process import ProgramRunner

    made = program()
    runner, taken = ProgramRunner(made, contract_of(made)), []
    for _ in range(number):
        began = time.perf_counter()
        await runner.call({"question": "The capital?", "fault": ""})
        taken.append(time.perf_counter() - began)
    return taken


async def overhead(number: int) -> findings.Finding:
    """Compare calls over HTTP, one after the other, with calls in process."""
    async with service(workers=1, timeout=30) as (url, pid), session() as client:
        await ask(client, url, "")
        bare, served = [], []
        before = sum(cpu(one) for one in (pid, *children(pid)))
        for _ in range(5):  # in turns, so that both have the machine as it is
            bare += await in_process(number // 5)
            served += [(await ask(client, url, "")).seconds for _ in range(number // 5)]
        spent = sum(cpu(one) for one in (pid, *children(pid))) - before
    inner, outer, least = (each * 1000 for each in (statistics.median(bare), statistics.median(served), min(served)))
    print(f"in process: median {inner:.3f} ms; over HTTP and in a worker: {outer:.3f} ms, at least {least:.3f} ms")
    print(f"CPU of the service and the worker: {spent / number * 1000:.3f} ms a request")
    print(f"overhead {outer - inner:.3f} ms, bar {BAR_MS} ms: {'met' if outer - inner < BAR_MS else 'MISSED'}")
    met = findings.verdict(outer - inner < BAR_MS)
    return findings.Finding(
        "a call over HTTP and in a worker / in process, medians",
        outer,
        "ms",
        inner,
        outer / inner,
        f"+{BAR_MS:g} ms",
        met,
    )


async def faults(number: int, timeout: float) -> findings.Finding:  # noqa: ASYNC109  as above
    """Send requests of which some crash and some hang, and count what became of each."""
    chosen = [*["exit", "kill"] * int(number * CRASHES / 2), *["block", "thread"] * int(number * HANGS / 2)]
    chosen += [""] * (number - len(chosen))
    random.Random(0).shuffle(chosen)
    began, answers, left = time.perf_counter(), [], iter(chosen)

    async def client_loop(client, url: str) -> None:
        for fault in left:
            answers.append(await ask(client, url, fault))  # noqa: PERF401  several loops share the list

    async with service(workers=WORKERS, timeout=timeout) as (url, _), session() as client:
        await asyncio.gather(*(client_loop(client, url) for _ in range(CONCURRENCY)))
        after = await ask(client, url, "")
    taken = time.perf_counter() - began
    print(f"{number} requests at concurrency {CONCURRENCY} in {taken:.0f} s, {WORKERS} workers, timeout {timeout:g} s")
    for fault, codes in sorted(
        (name, Counter(one.code for one in answers if one.fault == name)) for name in set(chosen)
    ):
        print(f"  {fault or 'no fault':8}  " + ", ".join(f"{code} {count}" for code, count in codes.most_common()))
    lost = [one for one in answers if one.code not in {"answered", *CODES}]
    wrong = [one for one in answers if one.fault and one.code == "answered"]
    is_met = len(answers) == number and not lost and not wrong and after.code == "answered"
    longest = max(one.seconds for one in answers)
    print(f"answered {len(answers)} of {number}, lost {len(lost)}, longest {longest:.1f} s; afterwards: {after.code}")
    print(f"each with a result or a typed error: {'met' if is_met else 'MISSED'}")
    name = f"{number:,} requests, {CONCURRENCY} at once, workers crash and hang: lost or wrong"
    missing = number - len(answers) + len(lost) + len(wrong)
    return findings.Finding(name, missing, "requests", bar="0 requests", met=findings.verdict(is_met))


async def soak(minutes: float) -> None:
    """Send requests for some minutes, and sample the memory of the service and its workers."""
    end, answers, samples = time.monotonic() + minutes * 60, Counter(), []
    async with service(workers=WORKERS, timeout=30) as (url, pid), session() as client:

        async def client_loop() -> None:
            while time.monotonic() < end:
                answers[(await ask(client, url, "")).code] += 1

        clients = asyncio.gather(*(client_loop() for _ in range(8)))
        while not clients.done():
            await asyncio.sleep(SAMPLE_SECONDS)
            samples.append((time.monotonic(), [resident(one) for one in (pid, *children(pid))]))
        await clients
    print(f"{minutes:g} minutes, {sum(answers.values())} requests: {dict(answers)}")
    half = samples[len(samples) // 2 :]
    for number, name in enumerate(("service", *(f"worker {each}" for each in range(1, WORKERS + 1)))):
        times, sizes = [moment for moment, _ in half], [found[number] for _, found in half]
        slope = statistics.linear_regression(times, sizes).slope
        growth = slope * (times[-1] - times[0]) / sizes[0]
        first, last = samples[0][1][number] / 2**20, sizes[-1] / 2**20
        print(
            f"  {name}: {first:.1f} MiB at first, {last:.1f} at last; in the second half {slope * 3600 / 2**20:+.1f} "
            f"MiB an hour, {growth:+.2%} of it: {'flat' if growth < BAR_GROWTH else 'GROWS'}"
        )


def cpu(pid: int) -> float:
    """Return the seconds of CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Return the bytes of memory that a process uses."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return sorted(int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="only this")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for one request")
    parser.add_argument("--workers", type=int, default=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    findings.add_option(parser)
    given = parser.parse_args()
    if given.serve:
        serve(given)
        return
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    if given.soak:
        asyncio.run(soak(given.soak))
        return
    findings.write([asyncio.run(overhead(given.requests))], given)
    findings.write([asyncio.run(faults(given.requests, given.timeout))], given)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
