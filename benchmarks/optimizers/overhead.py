"""CPU time for each LM call of MIPROv2 light on 50 + 50 examples, with replies at zero latency, beside DSPy's.

Ours and DSPy's run in alternating processes, with one and the same LM, a class that both take as their own. Each
process compiles twice; the second time counts, since the first also loads modules, and our table of prices. The minimum
of the rounds counts, since the machine may do other work.

    python benchmarks/optimizers/overhead.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import random
import re
import subprocess
import sys
import time
from pathlib import Path

BAR = 1 / 5
LIBRARIES = ("dspex_core", "dspy")
FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]")


class Reply(dict):
    """A reply in OpenAI's form, whose keys are attributes, too."""

    def __getattr__(self, name: str) -> object:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def reply_to(messages: list[dict[str, str]], number: int) -> str:
    """Answer in the format that the prompt asks for: a label that is right for some texts, or a text."""
    last = messages[-1]["content"]
    asked = last[last.rfind("\n\n") :]  # the last paragraph of both libraries' prompts names the outputs
    outputs = [name for name in dict.fromkeys(FIELD.findall(asked)) if name != "completed"]
    texts = re.findall(r"text (\d+)", last)
    label = f"label {int(texts[-1]) % 3}" if texts and int(texts[-1]) % 3 != number % 2 else "label 1"
    values = {name: label if name == "label" else f"Proposal {number}: look at the number." for name in outputs}
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{value}" for name, value in values.items()), "[[ ## completed ## ]]"])


def compiled(library: str) -> dict[str, float]:
    """Compile twice with a library, and return CPU milliseconds a call."""
    dspy = importlib.import_module(library)
    importlib.import_module("optuna")
    logging.disable(logging.CRITICAL)

    class Instant(dspy.BaseLM):
        calls = 0
        forward_contract = "legacy"

        def forward(self, prompt=None, messages=None, **_):
            type(self).calls += 1
            content = reply_to(messages or [{"role": "user", "content": prompt}], self.calls)
            choice = Reply(message=Reply(content=content, tool_calls=None), finish_reason="stop")
            usage = Reply(prompt_tokens=10, completion_tokens=10, total_tokens=20)
            return Reply(choices=[choice], usage=usage, model="instant")

    rows = [dspy.Example(text=f"text {n}", label=f"label {n % 3}").with_inputs("text") for n in range(100)]
    random.Random(0).shuffle(rows)

    dspy.configure(lm=Instant(model="instant"))
    program, optimizer = dspy.Predict("text -> label"), dspy.MIPROv2(metric=same, num_threads=8)
    found = {}
    for name in ("first", "second"):
        Instant.calls, begin = 0, time.process_time()
        optimizer.compile(program, trainset=rows[:50], valset=rows[50:])
        found[name] = 1000 * (time.process_time() - begin) / Instant.calls
    return {**found, "calls": Instant.calls}


def same(example, prediction, _=None) -> bool:
    return example.label == prediction.label


def in_a_process(library: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--library", library]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    if done.returncode:
        raise SystemExit(f"{library} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--library", choices=LIBRARIES)
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import findings  # beside the other scripts

    findings.add_option(parser)
    options = parser.parse_args()
    if options.library:
        print(json.dumps(compiled(options.library)))
        return
    best: dict[str, float] = {}
    for _ in range(options.rounds):
        for library in LIBRARIES:
            found = in_a_process(library)
            best[library] = min(found["second"], best.get(library, found["second"]))
            print(
                f"{library:11} {found['calls']} calls, ms each: {found['first']:.3f}, {found['second']:.3f}", flush=True
            )
    ratio = best["dspex_core"] / best["dspy"]
    print(f"minima: {best['dspex_core']:.3f} ms and {best['dspy']:.3f} ms: {ratio:.3f} of DSPy's (bar: {BAR})")
    name, met = "MIPROv2, CPU of an LM call / DSPy's", findings.verdict(ratio <= BAR)
    findings.write([findings.Finding(name, best["dspex_core"], "ms", best["dspy"], ratio, f"{BAR:g}", met)], options)
    raise SystemExit(ratio > BAR)


if __name__ == "__main__":
    main()
