"""How much a `compile` asks at most, known before it begins. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.messages import Usage
from dspex_core.programs.predict import adapter_of
from dspex_core.spending.prices import list_price

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dspex_core.example import Example
    from dspex_core.programs.base import Module, Predictor

_LETTERS = 3  # for a token of a prompt; English has about four, so this is more tokens than there will be
_REPLY = 1000  # tokens of a reply whose length the LM does not limit


@dataclass(frozen=True, slots=True)
class CompilePlan:
    """The most that a `compile` does.

    Args:
        train_runs: How often it runs the program, or the teacher, on examples of the trainset.
        val_runs: How often it runs a candidate on examples of the valset.
        demos: How many demos a prompt gets.
        proposals: How many calls of its own it makes, for instructions for instance.
        cost: What that takes; `None` before it is known for which program and LM.
    """

    train_runs: int = 0
    val_runs: int = 0
    demos: int = 0
    proposals: int = 0
    cost: PlannedCost | None = None

    @property
    def runs(self) -> int:
        """How often a program runs in all."""
        return self.train_runs + self.val_runs

    @property
    def calls(self) -> int | None:
        """How many LM calls it makes at most, each predictor being asked once in a run; `None` if not known."""
        return None if self.cost is None else self.cost.calls

    @property
    def tokens(self) -> int | None:
        """How many tokens these take at most; `None` if not known."""
        return None if self.cost is None else self.cost.tokens

    @property
    def dollars(self) -> float | None:
        """What they cost at list prices; `None` if not known."""
        return None if self.cost is None else self.cost.dollars

    def __str__(self) -> str:
        return f"at most {self.runs} runs and {self.proposals} proposals" if self.cost is None else str(self.cost)


def planned_sets(
    trainset: Sequence[Example], valset: Sequence[Example] | None, fraction: float = 0.5
) -> tuple[Sequence[Example], Sequence[Example]]:
    """Return both sets; without a valset, they have the sizes that `Run.hold_out` gives them."""
    if valset is not None:
        return trainset, valset
    held_out = int(len(trainset) * fraction)
    return trainset[held_out:], trainset[:held_out]


@dataclass(frozen=True, slots=True)
class PlannedCost:
    """What a number of runs takes at most.

    Args:
        calls: LM calls, if each predictor is asked once in a run; retries and an LM in the metric come on top.
        tokens: Of prompts and replies.
        dollars: At list prices; `None` if the price is not known.
        reply: The longest reply, in tokens.
        usual: The tokens of as many calls of the mean size of those that the program has made before; `None` if it
            has made none.
    """

    calls: int
    tokens: int
    dollars: float | None
    reply: int
    usual: int | None = None

    def __str__(self) -> str:
        cost = "at a price that is not known" if self.dollars is None else f"${self.dollars:.4f}"
        usual = "" if self.usual is None else f"; about {self.usual} tokens by the calls so far"
        return f"at most {self.calls} LM calls, {self.tokens} tokens, {cost}{usual}"


def cost_of(
    plan: CompilePlan, program: Module, *, trainset: Sequence[Example], others: Iterable[Example] = (), runs: int = 0
) -> PlannedCost:
    """Return what a plan takes at most, with the LM in the settings.

    Args:
        plan: The plan.
        program: The program.
        trainset: The examples that demos are made of.
        others: Further examples that it runs on.
        runs: How often it runs besides.
    """
    runs += plan.runs
    lm: Any = current().lm
    reply = (None if lm is None else lm.config.get("max_tokens")) or _REPLY
    predictors = [predictor for _, predictor in program.every_predictor()]
    examples = [*others, *trainset]
    prompts = [_prompt(each, trainset, examples, demos=plan.demos, reply=reply) for each in predictors]
    longest = max(prompts, default=0) + reply * plan.demos  # what a proposal shows of the data
    calls = runs * len(prompts) + plan.proposals
    usage = Usage(runs * sum(prompts) + plan.proposals * longest, calls * reply)
    dollars = None if lm is None else list_price(lm.model, usage)
    made = [entry.response.usage.total_tokens for entry in program.history]
    usual = round(calls * sum(made) / len(made)) if made else None
    return PlannedCost(calls, usage.prompt_tokens + usage.completion_tokens, dollars, reply, usual)


def _prompt(
    predictor: Predictor, trainset: Sequence[Example], examples: Sequence[Example], *, demos: int, reply: int
) -> int:
    """Return how many tokens the longest prompt of a predictor has at most."""
    signature = predictor.signature
    other = "x" * (reply * _LETTERS)  # what another predictor may have written
    longest = {name: _longest(examples, name, other) for name in signature.input_fields}
    rows = sorted(trainset, key=_size, reverse=True)[:demos]
    repeated = itertools.islice(itertools.cycle(rows), demos)  # demos may be made of the same example
    shown = [{name: row.get(name, other) for name in signature.fields} for row in repeated]
    request = adapter_of(predictor).request(signature, shown, longest, {})
    return math.ceil(sum(len(message.text) for message in request.messages) / _LETTERS)


def _longest(examples: Sequence[Example], name: str, other: str) -> Any:
    values = [example[name] for example in examples if name in example]
    return max(values, key=lambda value: len(str(value)), default=other)


def _size(row: Example) -> int:
    return sum(len(str(value)) for value in row.values())
