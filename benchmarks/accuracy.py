"""How often the embedded LM is right when asked through this project, and when asked through DSPy.

The same rows, instructions, fields, types, temperature (0) and limit of tokens on both sides, without
demos, and one server for both; DSPy runs in a process and an environment of its own. Each side writes
the prompt with the adapter that suits the model best: ours with its default, DSPy with its
`JSONAdapter`, told that the server holds replies to a schema. A reply that cannot be read counts as
wrong. Each answer is stored in a file at once; the next run with that file goes on where one was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

MODEL = "smollm2-135m-instruct"
MAX_TOKENS = 256
PROGRAMS = ("Predict", "ChainOfThought")
SIDES = OURS, DSPY = ("dspex_core", "dspy")
TOLERANCE = 0.02


@dataclass(frozen=True)
class Answer:
    """What one side answered to one row; `error` says why there is no answer."""

    task: str
    program: str
    side: str
    row: int
    expected: str
    answer: str | None
    outputs: dict[str, Any]
    error: str | None = None


def stored(path: Path) -> Iterator[Answer]:
    """Read the answers of earlier runs; a line that a killed run left half written is passed over."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return (Answer(**json.loads(line)) for line in lines if line.endswith("\n"))


def end_last_line(path: Path) -> None:
    """Take away what a killed run left half written, lest the next answer be added to it."""
    if path.exists():
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.rfind(b"\n") + 1])


# What a side needs is imported inside its function: each runs in its own process, DSPy's even in another environment.


def dspex_library(url: str, **config: Any) -> ModuleType:
    import dspex_core

    os.environ["DSPEX_LOCAL_SERVER"] = url
    dspex_core.configure(lm=dspex_core.LM(f"local/{MODEL}", **config))
    return dspex_core


def dspy_library(url: str, **config: Any) -> ModuleType:
    import dspy
    import litellm

    model = f"openai/{MODEL}"
    # Only for models that LiteLLM says can do it does DSPy send the schema.
    litellm.register_model({model: {"litellm_provider": "openai", "mode": "chat", "supports_response_schema": True}})
    lm = dspy.LM(model, api_base=url, api_key="none", **config)
    dspy.configure(lm=lm, adapter=dspy.JSONAdapter())
    return dspy


def answer_all(side: str, url: str, chosen: dict[str, tasks.Task], path: Path) -> None:
    """Let one side answer all rows that it has not answered yet."""
    make = dspex_library if side == OURS else dspy_library
    library = make(url, temperature=0, max_tokens=MAX_TOKENS, cache=False)
    done = {(answer.task, answer.program, answer.row) for answer in stored(path) if answer.side == side}
    with path.open("a", encoding="utf-8") as file:
        for kind in PROGRAMS:
            for name, task in chosen.items():
                program = getattr(library, kind)(library.Signature(task.signature, task.instructions))
                for row in task.rows:
                    if (name, kind, row.id) not in done:
                        outputs, error = ask(library, program, {task.given: row.text})
                        given = outputs.get(task.wanted)
                        answer = Answer(name, kind, side, row.id, row.expected, given, outputs, error)
                        file.write(json.dumps(asdict(answer), ensure_ascii=False) + "\n")
                        file.flush()


def ask(library: ModuleType, program: Any, inputs: dict[str, str]) -> tuple[dict[str, Any], str | None]:
    """Return the outputs; or none, and why. A server that fails is no answer: that ends the run."""
    try:
        return program(**inputs).toDict(), None
    except (library.AdapterParseError, ValueError) as error:  # ValueError: how DSPy refuses a value of the wrong type
        return {}, str(error)


def run(options: argparse.Namespace) -> None:
    """Start the server, and each side in its own process, one after the other."""
    from dspex_core.lm.embedded.server import serve

    end_last_line(options.out)
    url = serve(MODEL)
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # no download at import
    shared = [str(options.data), "--out", str(options.out), "--rows", str(options.rows), "--seed", str(options.seed)]
    for side, python in zip(SIDES, (sys.executable, options.dspy_python), strict=True):
        command = [python, __file__, *shared, "--side", side, "--url", url]
        subprocess.run(command, env=environment, check=True)


def report(chosen: dict[str, tasks.Task], path: Path) -> list[tuple[object, ...]]:
    """Compare the two sides row by row; return the lines of the table, those of all tasks together last."""
    answers = {(answer.task, answer.program, answer.side, answer.row): answer for answer in stored(path)}
    lines = []
    together: dict[str, list[tuple[Answer, Answer]]] = {kind: [] for kind in PROGRAMS}
    for name, task in chosen.items():
        for kind in PROGRAMS:
            pairs = [(answers[name, kind, OURS, row.id], answers[name, kind, DSPY, row.id]) for row in task.rows]
            together[kind] += pairs
            lines.append((name, kind, *compared(pairs)))
    return lines + [("all", kind, *compared(pairs)) for kind, pairs in together.items()]


def compared(pairs: list[tuple[Answer, Answer]]) -> tuple[object, ...]:
    """Return what the table says about pairs of answers to the same rows, ours first."""
    from dspex_core.stats import mean_interval  # DSPy's environment has no dspex_core

    n = len(pairs)
    right = [[answer.answer == answer.expected for answer in side] for side in zip(*pairs, strict=True)]
    errors = [sum(answer.error is not None for answer in side) for side in zip(*pairs, strict=True)]
    differences = [ours - dspys for ours, dspys in zip(*right, strict=True)]
    difference, interval = sum(differences), mean_interval(differences)
    spread = f"{100 * difference / n:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"
    met = "yes" if difference >= -TOLERANCE * n else "no"
    return (n, *(f"{100 * sum(side) / n:.1f}" for side in right), spread, *errors, met)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with banking77/test.csv and bbh/*.json")
    parser.add_argument("--dspy-python", metavar="PATH", help="a Python in which DSPy 3.3 is installed")
    parser.add_argument("--out", type=Path, required=True, help="the file of answers, a line of JSON each; added to")
    parser.add_argument("--rows", type=int, default=200, help="how many of each task (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="which rows and intents are drawn (default: 0)")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = tasks.load_tasks(options.data, number=options.rows, seed=options.seed)
    if options.side:
        answer_all(options.side, options.url, chosen, options.out)
        return
    from tabulate import tabulate  # not among what DSPy's environment has

    if options.dspy_python is None:
        parser.error("--dspy-python is needed: there is nothing to compare with otherwise")
    run(options)
    headers = ("task", "program", "n", "ours, %", "DSPy's, %", "difference", "our errors", "DSPy's errors", "met")
    print(tabulate(report(chosen, options.out), headers))


if __name__ == "__main__":
    main()
