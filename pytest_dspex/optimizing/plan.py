"""`--dspex-plan`: what recompiling a program may ask at most, known before any call. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core import Usage
from dspex_core.plugin_api import adapter_for, current, list_price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core import BaseLM, Example
    from dspex_core.plugin_api import Predictor
    from pytest_dspex.optimizing.optimize import Job

_LETTERS = 3  # for a token of a prompt; English has about four, so this is more tokens than there will be
_REPLY = 1000  # tokens of a reply whose length the LM does not limit


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most that a program's recompilation asks; `dollars` is `None` if the price is not known.

    `is_whole` is false if the optimizer does not say how often it runs the program: then the numbers are those of the
    comparison on the held-out examples alone.
    """

    calls: int
    tokens: int
    dollars: float | None
    reply: int
    is_whole: bool

    def lines(self, job: Job) -> list[str]:
        """Return the plan as lines of text."""
        cost = "at a price that is not known" if self.dollars is None else f"${self.dollars:.4f}"
        predictors = len(job.program.every_predictor())
        assumed = (
            f"  if each of {predictors} predictors is asked once in a run, with replies of up to {self.reply} tokens; "
            "retries and an LM in the metric come on top, and recorded calls cost nothing"
        )
        words = [f"plan: at most {self.calls} LM calls, {self.tokens} tokens, {cost}", assumed]
        if not self.is_whole:
            name = type(job.optimizer).__name__
            words.append(f"  without {name}, which does not say how often it asks: limit it with --dspex-max-calls")
        return words


def estimate(job: Job) -> Estimate:
    """Return the most that a job asks of the LM in the settings."""
    plan = job.optimizer.plan(job.program, job.trainset, job.valset)
    runs = 2 * len(job.testset) + (plan.runs if plan is not None else 0)
    demos = plan.demos if plan is not None else len(job.trainset)
    lm: Any = current().lm
    reply = lm.config.get("max_tokens") or _REPLY
    prompts = [_prompt(predictor, job, lm, demos=demos, reply=reply) for _, predictor in job.program.every_predictor()]
    usage = Usage(runs * sum(prompts), runs * len(prompts) * reply)
    dollars = list_price(lm.model, usage)
    total = usage.prompt_tokens + usage.completion_tokens
    return Estimate(runs * len(prompts), total, dollars, reply, is_whole=plan is not None)


def _prompt(predictor: Predictor, job: Job, lm: BaseLM, *, demos: int, reply: int) -> int:
    """Return how many tokens the longest prompt of a predictor has at most."""
    signature = predictor.signature
    examples = [*job.testset, *(job.valset or ()), *job.trainset]
    other = "x" * (reply * _LETTERS)  # what another predictor may have written
    longest = {name: _longest(examples, name, other) for name in signature.input_fields}
    rows = sorted(job.trainset, key=_size, reverse=True)[:demos]
    repeated = itertools.islice(itertools.cycle(rows), demos)  # demos may be made of the same example
    shown = [{name: row.get(name, other) for name in signature.fields} for row in repeated]
    request = adapter_for(lm).request(signature, shown, longest, {})
    return math.ceil(sum(len(message.text) for message in request.messages) / _LETTERS)


def _longest(examples: Sequence[Example], name: str, other: str) -> Any:
    values = [example[name] for example in examples if name in example]
    return max(values, key=lambda value: len(str(value)), default=other)


def _size(row: Example) -> int:
    return sum(len(str(value)) for value in row.values())
