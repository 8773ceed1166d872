"""Ctrl-C: what was finished is kept, and nobody waits for the calls under way."""

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import asyncio, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background ignores it
from dspex_core import Evaluate, Example, Module, Parallel, Prediction, context

class Slow(Module):
    def forward(self, n):
        if n >= 6:
            print("waiting\\n", end="", flush=True)
            time.sleep(600)
        return Prediction(double=2 * n)

class SlowAsync(Slow):
    async def aforward(self, n):
        if n >= 6:
            print("waiting\\n", end="", flush=True)
            await asyncio.sleep(600)
        return Prediction(double=2 * n)

class AsyncAlone(Module):
    aforward = SlowAsync.aforward

rows = [Example(n=n).with_inputs("n") for n in range(20)]
how, kind, folder = sys.argv[1:]
program = {"sync program": Slow, "async program": SlowAsync, "async alone": AsyncAlone}[kind]()
evaluate = Evaluate(devset=rows, metric=lambda e, p, trace=None: 1.0, num_threads=2,
                    save_as_csv=f"{folder}/a.csv", save_as_json=f"{folder}/a.json")
parallel = Parallel(num_threads=2)
pairs = [(program, row) for row in rows]
try:
    match how:
        case "evaluate": evaluate(program)
        case "aevaluate": asyncio.run(evaluate.acall(program))
        case "parallel": parallel(pairs)
        case "aparallel": asyncio.run(parallel.acall(pairs))
except KeyboardInterrupt as error:
    held = error.__context__ if how.startswith("a") else error
    found = held.result.cases if "evaluate" in how else [one for one in held.results if one is not None]
    print("kept", len(found), flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGINT to send")
@pytest.mark.parametrize(
    ("how", "kind"),
    [
        *itertools.product(["evaluate", "aevaluate", "parallel", "aparallel"], ["sync program", "async program"]),
        ("evaluate", "async alone"),
    ],
)
def test_what_was_finished_is_kept_and_the_end_is_prompt(how, kind, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, how, kind, tmp_path], text=True, stdout=subprocess.PIPE)
    try:
        assert [process.stdout.readline() for _ in range(2)] == ["waiting\n"] * 2
        time.sleep(0.3)  # Python loses a signal that comes while its event loop is about to wait, until it wakes again
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=100)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

    assert said == "kept 6\n"
    assert process.returncode == 0
    if "evaluate" in how:
        assert len(json.loads((tmp_path / "a.json").read_text())) == 6
        with (tmp_path / "a.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 6
