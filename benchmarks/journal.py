"""What the journal of an evaluation costs, and whether killed runs lose or repeat anything.

The same evaluation runs with and without a journal, in turns, and the minima count, of the time and of the CPU. The bar
is for calls of a server on this machine that replies after 20 ms, 8 or 32 at once: with 8, most of the time is waiting,
as it is for real models; with 32, the CPU is what takes the time. A scripted LM replies at once: the hardest case.
Then an evaluation of 100,000 examples is killed with SIGKILL at five random moments, and resumed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import server

BAR = 0.05
NEWLINE = b"\n"
KILLED = """
import sys
from dspex_core import Evaluate, Example, Prediction

path, count = sys.argv[1], int(sys.argv[2])
rows = (Example(question=f"What is {n} + {n}?", answer=str(2 * n)).with_inputs("question") for n in range(count))
result = Evaluate(devset=rows, metric=lambda example, found, trace=None: example.answer == found.answer, num_threads=4,
                  journal=path, keep="none")(lambda question: Prediction(answer=str(2 * int(question.split()[2]))))
print(result.n, result.mean)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1000, help="of the measurement of the cost")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--killed", type=int, default=100_000, help="examples of the evaluation that is killed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cost(Path(folder), options)
        kill(Path(folder) / "killed.jsonl", options.killed)


def cost(folder: Path, options: argparse.Namespace) -> None:
    import dspex_core

    rows = [
        {"question": f"What is the capital of country {number}?", "answer": "Paris"}
        for number in range(options.examples)
    ]
    devset = [dspex_core.Example(row).with_inputs("question") for row in rows]
    with server.running(0.02) as url:
        lm = dspex_core.LM("openai/x", api_base=url, api_key="k", cache=False, engine="direct")
        for width in (8, 32):
            name = f"replies after 20 ms, {width} at once"
            share = compared(name, lm, devset, folder / f"served{width}", options.rounds, width=width)
            print(f"  bar {BAR:.0%} of the time: {'yes' if share < BAR else 'no'}")
    scripted = dspex_core.ScriptedLM(lambda _: {"answer": "Paris"})
    compared("scripted replies, one at a time", scripted, devset, folder / "scripted", options.rounds, width=1)


def compared(name: str, lm: object, devset: list[object], folder: Path, rounds: int, *, width: int) -> float:
    """Show what a journal costs, and return its share of the time of the evaluation without it."""
    import dspex_core

    program = dspex_core.Predict("question -> answer")

    def taken(journal: Path | None) -> tuple[float, float]:
        evaluate = dspex_core.Evaluate(devset=devset, metric=right, num_threads=width, journal=journal)
        begun = time.perf_counter(), time.process_time()
        with dspex_core.context(lm=lm):
            evaluate(program)
        return time.perf_counter() - begun[0], time.process_time() - begun[1]

    taken(None), taken(folder / "first.jsonl")
    pairs = [(taken(None), taken(folder / f"{number}.jsonl")) for number in range(rounds)]
    (seconds, more_seconds), (cpu, more_cpu) = (
        tuple(min(each[side][kind] for each in pairs) for side in (0, 1)) for kind in (0, 1)
    )
    share, each = more_seconds / seconds - 1, 1e6 * (more_cpu - cpu) / len(devset)
    print(f"{name}: {len(devset)} examples in {seconds:.3f} s, with a journal in {more_seconds:.3f} s: {share:+.1%}")
    print(f"  CPU: {cpu:.3f} s without, {more_cpu:.3f} s with it: {each:.0f} us an example, {more_cpu / cpu - 1:.1%}")
    return share


def right(example: object, prediction: object, _: object = None) -> bool:
    return example.answer == prediction.answer


def kill(path: Path, count: int) -> None:
    draw = random.Random(0)
    for _ in range(5):
        process = start(path, count)
        grown = (path.stat().st_size if path.exists() else 0) + draw.uniform(0.05, 0.19) * count * 330
        while (not path.exists() or path.stat().st_size < grown) and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        print(f"killed after {path.read_bytes().count(NEWLINE) - 1:,} of {count:,} cases")
    said, _ = start(path, count).communicate()
    counted = [json.loads(line)["index"] for line in path.read_bytes().splitlines()[1:]]
    is_whole = sorted(counted) == list(range(count))
    print(f"result: {said.strip()}; {len(counted):,} lines; each case once: {is_whole}")


def start(path: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", KILLED, path, str(count)], text=True, stdout=subprocess.PIPE)


if __name__ == "__main__":
    main()
