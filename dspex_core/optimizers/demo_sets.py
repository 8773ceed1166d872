"""Several sets of demos for each predictor, to choose from. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dspex_core.optimizers.labeled_few_shot import LabeledFewShot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.optimizers.bootstrap_few_shot import BootstrapFewShot
    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.run import Run

DemoSet = dict[str, list["Demo"]]  # by the predictor's path


def demo_sets(run: Run[Any], bootstrapper: BootstrapFewShot, count: int) -> list[DemoSet]:
    """Return so many different sets at most: labeled, bootstrapped in order, and then from shuffled trainsets.

    Args:
        run: The compile.
        bootstrapper: Makes the demos; the shuffled sets have from one to as many as it bootstraps.
        count: How many to make; equal ones count once.

    Raises:
        OptimizationError: The trainset cannot be bootstrapped.
    """
    found: list[DemoSet] = []
    for each in itertools.islice(_made(run, bootstrapper), count):
        if each not in found and any(each.values()):
            found.append(each)
    return found


def _made(run: Run[Any], bootstrapper: BootstrapFewShot) -> Iterator[DemoSet]:
    if bootstrapper.max_labeled_demos > 0:
        labeled = LabeledFewShot(bootstrapper.max_labeled_demos, run.seed)
        yield _demos_of(labeled.compile(run.student, trainset=run.trainset))
    given: dict[str, Any] = {"teacher": run.teacher, "seed": run.seed}
    yield _demos_of(bootstrapper.compile(run.student, trainset=run.trainset, **given))
    most = bootstrapper.max_bootstrapped_demos
    for number in itertools.count():
        rng = run.random(f"demos {number}")
        trainset = rng.sample(run.trainset, len(run.trainset))
        shuffled = replace(bootstrapper, max_bootstrapped_demos=rng.randint(min(1, most), most))
        yield _demos_of(shuffled.compile(run.student, trainset=trainset, **given))


def _demos_of(program: Any) -> DemoSet:
    return {path: list(predictor.demos) for path, predictor in program.named_predictors()}
