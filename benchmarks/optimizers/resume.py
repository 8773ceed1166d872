"""Whether a compile that is killed goes on from its journal: SIGKILL at random points, the same seed, 1 and 8 threads.

    python benchmarks/optimizers/resume.py MIPROv2 [--points 10] [--seed 0]

An undisturbed compile without a journal is what all others must end with, byte for byte. The LM kills its process at a
random call, with 8 calls at once; the next process goes on from the journal, and must make exactly the calls whose
answers are not in it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
ANSWERED = '"response":'


def feedback(example, prediction, trace=None, pred_name=None, pred_trace=None):  # noqa: ARG001  as GEPA calls it
    import dspex_core as dspy

    is_right = example.label == prediction.label
    text = "right" if is_right else f"{example.text} has {example.label}"
    return dspy.Prediction(score=float(is_right), feedback=text) if pred_name else float(is_right)


def made(name: str, lm: object, threads: int):
    """Make an optimizer by its name; some need more than a metric."""
    import dspex_core

    more = {"GEPA": {"auto": None, "max_metric_calls": 300, "reflection_lm": lm}}
    return getattr(dspex_core, name)(metric=feedback, num_threads=threads, **more.get(name, {}))


class Answers:
    """Answers by the prompt alone, and kills the process at a call."""

    def __init__(self, die_at: int) -> None:
        self.calls, self._die_at, self._lock = 0, die_at, threading.Lock()

    def __call__(self, request):
        with self._lock:
            self.calls += 1
            if self.calls == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        prompt, last = request.messages[0].text, request.messages[-1].text
        known = re.findall(r"text (\d+)", last)
        if "[[ ## label ## ]]" not in prompt or not known:
            rule = f"Rule {(request.rollout_id or len(last)) % 6}: the label follows the number."
            names = dict.fromkeys(re.findall(r"`\[\[ ## (\w+) ## \]\]`", last))
            outputs = {each: rule for each in names if each != "completed"}
            return outputs or f"```\n{rule}\n```"
        shown = sum(message.role == "user" for message in request.messages) - 1
        rule, number = int(re.findall(r"Rule (\d)|$", prompt)[0] or 0), int(known[-1])
        return {"label": f"label {number % 3}" if number % 12 < 3 + rule + shown else "wrong"}


def compile_once(options: argparse.Namespace) -> None:
    """Compile, and print how many calls were made and what came out."""
    import dspex_core

    logging.disable(logging.CRITICAL)
    answers = Answers(options.die_at)
    lm = dspex_core.ScriptedLM(answers)
    rows = [dspex_core.Example(text=f"text {n}", label=f"label {n % 3}").with_inputs("text") for n in range(110)]
    with dspex_core.context(lm=lm):
        program = made(options.name, lm, options.threads).compile(
            dspex_core.Predict("text -> label"),
            trainset=rows[:50],
            valset=rows[50:],
            seed=options.seed,
            journal=options.journal,
        )
    state = json.dumps(program.dump_state(), sort_keys=True)
    print(json.dumps({"calls": answers.calls, "program": state, "score": program.trials.best.score}))


def child(options: argparse.Namespace, *, threads: int = 8, journal: Path | None = None, die_at: int = 0):
    """Compile in a process; `None` if it was killed."""
    command = [sys.executable, __file__, options.name, "--child", f"--seed={options.seed}"]
    command += [f"--threads={threads}", f"--die-at={die_at}", *([f"--journal={journal}"] if journal else [])]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    if done.returncode == -signal.SIGKILL:
        return None
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--points", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--die-at", type=int, default=0)
    parser.add_argument("--journal")
    options = parser.parse_args()
    if options.child:
        compile_once(options)
        return
    whole = child(options)
    print(f"undisturbed: {whole['calls']} calls, score {whole['score']:.3f}")
    same = {f"{threads} threads": child(options, threads=threads) == whole for threads in (1, 8)}
    print(", ".join(f"{name}: {'identical' if is_same else 'DIFFERENT'}" for name, is_same in same.items()))
    failed = not all(same.values())
    for point in sorted(random.Random(options.seed).sample(range(2, whole["calls"]), options.points)):
        with tempfile.TemporaryDirectory() as folder:
            journal = Path(folder, "journal.jsonl")
            killed = child(options, journal=journal, die_at=point)
            kept = sum(ANSWERED in line for line in journal.read_text().splitlines())
            resumed = child(options, journal=journal)
        ends_same, repeats = resumed["program"] == whole["program"], kept + resumed["calls"] - whole["calls"]
        failed |= killed is not None or not ends_same or repeats != 0
        print(
            f"killed at call {point:4}: {kept:4} answers kept, {resumed['calls']:4} calls after it, "
            f"{repeats} repeated, {'the same program' if ends_same else 'ANOTHER PROGRAM'}",
            flush=True,
        )
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
