"""The gains of optimizers on the embedded LM, on held-out rows, beside those of DSPy on the same rows.

    python benchmarks/optimizers/quality.py banking77/ reviews/ --out results.jsonl

For each task, seed and optimizer: the program is compiled on 40 rows and chosen by 40 others, and both the program as
it was and the compiled one are scored on 120 rows that no optimizer has seen. Each side runs in a process of its own
with the adapter that suits the model best: ours with its default, DSPy with its `JSONAdapter` and a model that it takes
for one that is held to a schema. Each outcome is a line of a file; the next run with that file does what is missing.
Both sides keep replies on the disk, as they do by default.

The folders hold `train.csv` of BANKING77, and `amazonReviewSnippets_GroundTruth.txt` of Hutto and Gilbert (2014,
"VADER", in the source distribution of vaderSentiment): product reviews rated by people. The third task is this
project's example suite support_intents.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

MODEL = "smollm2-135m-instruct"
SIDES = OURS, DSPY = ("dspex_core", "dspy")
TRAIN, VAL, TEST = 40, 40, 120
INTENTS = 8
DEMOS = {"max_bootstrapped_demos": 3, "max_labeled_demos": 4}
SUITE = Path(__file__).parents[2] / "example_suites" / "support_intents" / "data"


@dataclass(frozen=True)
class Task:
    """A classification.

    Args:
        instructions: What the model is asked to do.
        wanted: The output's name; the input is `text`.
        rows: Texts with their labels.
    """

    instructions: str
    wanted: str
    rows: list[tuple[str, str]]

    @property
    def signature(self) -> str:
        """The signature in its string form."""
        labels = ", ".join(repr(label) for label in sorted({label for _, label in self.rows}))
        return f"text -> {self.wanted}: Literal[{labels}]"

    def dealt(self, seed: int) -> tuple[list[tuple[str, str]], ...]:
        """Return rows to learn from, to choose by and to test with, balanced over the labels in expectation."""
        rows = random.Random(seed).sample(self.rows, len(self.rows))
        return rows[:TRAIN], rows[TRAIN : TRAIN + VAL], rows[TRAIN + VAL : TRAIN + VAL + TEST]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one compile: shares of right answers on the test rows, LM calls of the compile, and our trials."""

    task: str
    seed: int
    side: str
    optimizer: str
    before: float
    after: float
    calls: int
    instructions: str
    demos: int
    scores: list[float]
    trials: list[dict[str, Any]] = field(default_factory=list)


def load_tasks(banking: Path, reviews: Path) -> dict[str, Task]:
    """Return the tasks by name."""
    with (banking / "train.csv").open(encoding="utf-8", newline="") as lines:
        rows = [(line["text"], line["category"]) for line in csv.DictReader(lines)]
    chosen = set(random.Random(0).sample(sorted({label for _, label in rows}), INTENTS))
    rated = []
    for line in (reviews / "amazonReviewSnippets_GroundTruth.txt").read_text(encoding="utf-8").splitlines():
        _, rating, text = line.split("\t")
        if abs(float(rating)) >= 1:
            rated.append((text, "positive" if float(rating) > 0 else "negative"))
    suite = [
        (row["text"], row["intent"])
        for name in ("train", "val", "test")
        for row in map(json.loads, (SUITE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    ]
    return {
        f"banking77, {INTENTS} intents": Task(
            "Classify the bank customer's question by its intent.", "intent", [row for row in rows if row[1] in chosen]
        ),
        "product reviews": Task("Say whether the product review is positive or negative.", "sentiment", rated),
        "support_intents": Task("Sort a customer's message to a shop.", "intent", suite),
    }


# Libraries are imported inside functions: each side runs in a process of its own.


def dspex_library(url: str, **config: Any) -> ModuleType:
    import dspex_core

    os.environ["DSPEX_LOCAL_SERVER"] = url
    dspex_core.configure(lm=dspex_core.LM(f"local/{MODEL}", **config), num_threads=4)
    return dspex_core


def dspy_library(url: str, **config: Any) -> ModuleType:
    import dspy
    import litellm

    model = f"openai/{MODEL}"
    # Only for models that LiteLLM says can do it does DSPy send the schema.
    litellm.register_model({model: {"litellm_provider": "openai", "mode": "chat", "supports_response_schema": True}})
    lm = dspy.LM(model, api_base=url, api_key="none", **config)
    dspy.configure(lm=lm, adapter=dspy.JSONAdapter(), num_threads=4)
    return dspy


def few_shot(library: ModuleType, metric: Callable[..., bool], _seed: int) -> tuple[Any, dict[str, Any]]:
    """Return BootstrapFewShot and the options of its compile."""
    return library.BootstrapFewShot(metric=metric, **DEMOS), {}


def random_search(
    library: ModuleType, metric: Callable[..., bool], _seed: int, *, num_candidate_programs: int = 5, **more: Any
) -> tuple[Any, dict[str, Any]]:
    """Return random search and the options of its compile; DSPy's takes no seed."""
    optimizer = library.BootstrapFewShotWithRandomSearch(
        metric=metric,
        num_candidate_programs=num_candidate_programs,
        num_threads=4,
        **DEMOS,
        **more,
    )
    return optimizer, {"valset": True}


def mipro(
    library: ModuleType, metric: Callable[..., bool], seed: int, *, num_trials: int = 7, **more: Any
) -> tuple[Any, dict[str, Any]]:
    """Return MIPROv2 and the options of its compile."""
    optimizer = library.MIPROv2(
        metric=metric,
        auto=None,
        num_candidates=4,
        num_threads=4,
        seed=seed,
        verbose=False,
        **DEMOS,
        **more,
    )
    return optimizer, {"valset": True, "num_trials": num_trials, "minibatch": False}


OPTIMIZERS = {"BootstrapFewShot": few_shot, "random search": random_search, "MIPROv2": mipro}


def _dimensions() -> Any:
    """Return what suits a model that follows no format unless the server holds it to a schema."""
    from dspex_core.optimizers import PromptDimensions

    return PromptDimensions(
        adapters=[], choice_orders=2, demo_orders=1, demo_counts=[], balanced_sets=1, nearest=[2, 4]
    )


def random_search_beyond(library: ModuleType, metric: Callable[..., bool], seed: int) -> tuple[Any, dict[str, Any]]:
    """Return random search with all that DSPy's does not have. Racing pays for the larger number of candidates."""
    return random_search(library, metric, seed, num_candidate_programs=10, seed=seed, dimensions=_dimensions())


def mipro_beyond(library: ModuleType, metric: Callable[..., bool], seed: int) -> tuple[Any, dict[str, Any]]:
    """Return MIPROv2 with all that DSPy's does not have."""
    return mipro(library, metric, seed, num_trials=12, racing=True, dimensions=_dimensions())


def sixteen(library: ModuleType, metric: Callable[..., bool], seed: int, *, racing: bool) -> tuple[Any, dict[str, Any]]:
    """Return random search with 16 candidates, of which a race drops those that are clearly worse, or with all."""
    return random_search(library, metric, seed, num_candidate_programs=16, seed=seed, racing=racing)


def beyond() -> dict[str, Any]:
    """Return what DSPy does not have: dimensions of prompts, and racing."""
    return {
        "random search, beyond": random_search_beyond,
        "MIPROv2, beyond": mipro_beyond,
        "random search, 16 in full": partial(sixteen, racing=False),
        "random search, 16 raced": partial(sixteen, racing=True),
    }


def measure(side: str, options: argparse.Namespace, path: Path) -> None:
    """Do what a side has not done yet."""
    library = (dspex_library if side == OURS else dspy_library)(options.url, temperature=0, max_tokens=64)
    optimizers = {**OPTIMIZERS, **(beyond() if side == OURS else {})}
    done = {(outcome.task, outcome.seed, outcome.optimizer) for outcome in stored(path) if outcome.side == side}
    for seed in options.seed or range(options.seeds):
        for name, task in load_tasks(options.banking, options.reviews).items():
            for optimizer, make in optimizers.items():
                chosen = all(
                    not only or each in only for only, each in ((options.only, optimizer), (options.task, name))
                )
                if chosen and (name, seed, optimizer) not in done:
                    outcome = one(library, task, make, name=name, seed=seed, optimizer=optimizer)
                    with path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")


def one(library: ModuleType, task: Task, make: Any, *, name: str, seed: int, optimizer: str) -> Outcome:
    """Compile and test."""
    train, val, test = (
        [library.Example(text=text, **{task.wanted: label}).with_inputs("text") for text, label in rows]
        for rows in task.dealt(seed)
    )

    def right(example: Any, prediction: Any, trace: Any = None) -> bool:  # noqa: ARG001  the contract of a metric
        return bool(getattr(prediction, task.wanted, None) == example[task.wanted])

    student = library.Predict(library.Signature(task.signature, task.instructions))
    evaluate = library.Evaluate(devset=test, metric=right, num_threads=4, max_errors=10_000)
    before = evaluate(student)
    made, options = make(library, right, seed)
    if options.pop("valset", False):
        options["valset"] = val
    calls = count(library)
    compiled = made.compile(student, trainset=train, **options)
    calls = count(library) - calls
    after = evaluate(compiled)
    scores = [float(score) for _, _, score in after.results]
    [predictor] = compiled.predictors()
    instructions = predictor.signature.instructions
    share = (before.score / 100, after.score / 100)
    trials = [trial.to_json() for trial in compiled.trials] if library.__name__ == OURS else []
    found = (calls, instructions, len(predictor.demos), scores, trials)
    return Outcome(name, seed, library.__name__, optimizer, *share, *found)


def count(library: ModuleType) -> int:
    """Return how many LM calls there were so far, cached ones included."""
    from importlib import import_module

    if library.__name__ == DSPY:
        return len(library.settings.lm.history)
    return len(import_module("dspex_core.config").current().lm.history)


def stored(path: Path) -> Iterator[Outcome]:
    """Read the outcomes of earlier runs; a line that a killed run left half written is passed over."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return (Outcome(**json.loads(line)) for line in lines if line.endswith("\n"))


def run(options: argparse.Namespace) -> None:
    """Start the server, and each side in its own process, one after the other."""
    from dspex_core.lm.embedded.server import serve

    url = serve(MODEL)
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # no download at import
    for side in options.sides:
        command = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--url", url]
        subprocess.run(command, env=environment, check=True)


def report(path: Path) -> list[tuple[object, ...]]:
    """Return a line for each task, optimizer and side: the means over the seeds."""
    groups: dict[tuple[str, str, str], list[Outcome]] = {}
    for outcome in stored(path):
        groups.setdefault((outcome.task, outcome.optimizer, outcome.side), []).append(outcome)
    lines = []
    for (task, optimizer, side), outcomes in sorted(groups.items()):
        before, after = (statistics.fmean(getattr(each, name) for each in outcomes) for name in ("before", "after"))
        calls = statistics.fmean(each.calls for each in outcomes)
        figures = (f"{100 * before:.1f}", f"{100 * after:.1f}", f"{100 * (after - before):+.1f}", f"{calls:.0f}")
        lines.append((task, optimizer, side, len(outcomes), *figures))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("banking", type=Path, help="a folder with train.csv")
    parser.add_argument("reviews", type=Path, help="a folder with amazonReviewSnippets_GroundTruth.txt")
    parser.add_argument("--out", type=Path, required=True, help="the file of outcomes, a line of JSON each; added to")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--seed", type=int, action="append", help="one seed instead; may be repeated")
    parser.add_argument("--task", action="append", help="a task to measure, such as 'product reviews'; may be repeated")
    parser.add_argument("--only", action="append", help="an optimizer to measure, such as 'MIPROv2'; may be repeated")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        measure(options.side, options, options.out)
        return
    from tabulate import tabulate

    run(options)
    headers = ("task", "optimizer", "side", "seeds", "before, %", "after, %", "gain", "calls")
    print(tabulate(report(options.out), headers))


if __name__ == "__main__":
    main()
