"""`--dspex-plan`: what recompiling a program may ask at most, known before any call. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex_core.plugin_api import CompilePlan, cost_of

if TYPE_CHECKING:
    from pytest_dspex.optimizing.optimize import Job


def plan_lines(job: Job) -> list[str]:
    """Return the most that a job asks of the LM in the settings, as lines of text."""
    plan = job.optimizer.plan(job.program, job.trainset, job.valset)
    others = (*job.testset, *(job.valset or ()))
    known = CompilePlan(demos=len(job.trainset)) if plan is None else plan
    cost = cost_of(known, job.program, trainset=job.trainset, others=others, runs=2 * len(job.testset))
    assumed = (
        f"  if each of {len(job.program.every_predictor())} predictors is asked once in a run, with replies of up to "
        f"{cost.reply} tokens; retries and an LM in the metric come on top, and recorded calls cost nothing"
    )
    words = [f"plan: {cost}", assumed]
    if plan is None:
        name = type(job.optimizer).__name__
        words.append(f"  without {name}, which does not say how often it asks: limit it with --dspex-max-calls")
    return words
