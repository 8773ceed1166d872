"""What a small model depends on beside instructions and demos, as dimensions of a search. PYTEST_DONT_REWRITE

The order of demos, and which labels they have, decide much of what a small model answers (Lu et al. 2022,
"Fantastically Ordered Prompts and Where to Find Them"; Zhao et al. 2021, "Calibrate Before Use").
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.adapters import Adapter, ChatAdapter, JSONAdapter, XMLAdapter
from dspex_core.errors import ConfigurationError
from dspex_core.messages.canonical import canonical_json
from dspex_core.optimizers.demos import labeled_demos
from dspex_core.plain.counts import is_whole
from dspex_core.programs.demos.selector import NearestDemos
from dspex_core.programs.demos.stored import plainest
from dspex_core.programs.predict import adapter_of

if TYPE_CHECKING:
    import random

    from dspex_core.example import Example
    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.run import Run
    from dspex_core.programs.base import Module, Predictor
    from dspex_core.signatures.signature import SignatureField

_ADAPTERS = (JSONAdapter(), JSONAdapter(shows_types=False, text_limit=600), ChatAdapter(), XMLAdapter())
_AS_IT_IS = "as it is"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that can be chosen for a predictor.

    Args:
        name: Its name, such as `"adapter"`.
        choices: The choices in words; the first leaves the predictor as it is.
        apply: Gives a predictor the choice of a number from 1 on.
    """

    name: str
    choices: Sequence[str]
    apply: Callable[[Predictor, int], None]


@dataclass(frozen=True, kw_only=True)
class PromptDimensions:
    """What is searched beside instructions and demos, for each predictor of a program.

    What is found is part of the program's state. Dimensions without a choice are left out: an order of choices needs an
    output that is a `Literal` or an `Enum`, for instance. So are those that a predictor cannot keep: one of DSPy has
    no adapter, order of choices or nearest demos of its own. Predictors that choose demos by their inputs keep these.

    Args:
        adapters: The adapters that are tried beside the one in use. Those that are not built in, or hold an LM, cannot
            be saved.
        choice_orders: How many orders of an output's choices are tried; 1 for the declared one alone.
        demo_orders: How many orders of the demos are tried; 1 for their own alone.
        demo_counts: How many of the demos that there are may be shown alone.
        balanced_sets: How many sets of labeled demos are drawn from the trainset that have each choice of an output, in
            the place of other demos. Choices that no demo has are hardly answered by a small model.
        nearest: How many demos a call shows that are chosen by its inputs from the whole trainset, as `KNNFewShot`
            does, in the place of other demos.

    Raises:
        ConfigurationError: One of them is of another kind.
    """

    adapters: Sequence[Adapter] = _ADAPTERS
    choice_orders: int = 3
    demo_orders: int = 3
    demo_counts: Sequence[int] = (0, 2)
    balanced_sets: int = 4
    nearest: Sequence[int] = (4,)

    def __post_init__(self) -> None:
        for name, least in (("choice_orders", 1), ("demo_orders", 1), ("balanced_sets", 0)):
            if not is_whole(value := vars(self)[name], least):
                raise ConfigurationError(f"{name} must be a whole number from {least} on, not {value!r}")
        for name, fits, kind in (
            ("demo_counts", lambda count: is_whole(count, 0), "whole numbers from 0 on"),
            ("nearest", lambda count: is_whole(count, 1), "whole numbers from 1 on"),
            ("adapters", lambda adapter: isinstance(adapter, Adapter), "adapters, such as JSONAdapter()"),
        ):
            given = vars(self)[name]
            if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not all(map(fits, given)):
                raise ConfigurationError(f"{name} must be a list of {kind}, not {given!r}")

    def of(self, run: Run[Any]) -> dict[str, list[Dimension]]:
        """Return the dimensions of each predictor of the student, by its path, in the order in which they apply."""
        return {
            path: [each for each in self._all(run, path, predictor) if len(each.choices) > 1]
            for path, predictor in run.student.named_predictors()
        }

    def most_demos(self, student: Module, trainset: Sequence[Example]) -> int:
        """Return how many demos a prompt shows at most, where they are balanced or the nearest."""
        sets = [_covering(labeled_demos(each.signature, trainset), each) for each in student.predictors()]
        balanced = max(map(len, sets), default=0) if self.balanced_sets else 0
        nearest = max((count for each in student.predictors() for count in self._nearest_of(each)), default=0)
        return max(balanced, min(nearest, len(trainset)))

    def _all(self, run: Run[Any], path: str, predictor: Predictor) -> list[Dimension]:
        of_demos = self._of_demos(run, path, predictor) if predictor.demo_selector is None else []
        adapters = self._adapters_of(predictor)
        words = [_AS_IT_IS, *map(repr, adapters)]
        return [
            *of_demos,
            Dimension("adapter", words, lambda each, nth: _set_adapter(each, adapters[nth - 1])),
            *self._choice_orders(run, path, predictor),
        ]

    def _of_demos(self, run: Run[Any], path: str, predictor: Predictor) -> list[Dimension]:
        """Return which demos, and in which order. A balanced set is never cut: it would not be balanced then."""
        counts, nearest = (list(dict.fromkeys(of_all)) for of_all in (self.demo_counts, self._nearest_of(predictor)))
        labeled = labeled_demos(predictor.signature, run.trainset)
        choices: list[tuple[str, Callable[[Predictor], None]]] = [
            *((f"the first {count}", partial(_cut_demos, count)) for count in counts),
            *((f"nearest {count}", partial(_set_nearest, labeled, count)) for count in nearest if labeled),
            *(
                (f"of each label, draw {number}", partial(_set_demos, demos))
                for number, demos in enumerate(_balanced(run, path, predictor, self.balanced_sets), start=1)
            ),
        ]

        def apply(predictor: Predictor, nth: int) -> None:
            choices[nth - 1][1](predictor)

        words = [_AS_IT_IS, *(word for word, _ in choices)]
        return [Dimension("choice of demos", words, apply), self._orders(run, path)]

    def _adapters_of(self, predictor: Predictor) -> list[Adapter]:
        tried = self.adapters if "adapter" in predictor.changeable else ()
        return [adapter for adapter in tried if adapter != adapter_of(predictor)]

    def _nearest_of(self, predictor: Predictor) -> Sequence[int]:
        return self.nearest if "demo_selector" in predictor.changeable else ()

    def _orders(self, run: Run[Any], path: str) -> Dimension:
        purposes = {nth: f"{path}: order of demos {nth}" for nth in range(1, self.demo_orders)}

        def apply(predictor: Predictor, nth: int) -> None:
            if predictor.demo_selector is None:  # which orders those that it chooses
                predictor.demos = _in_order(list(predictor.demos), nth, run.random(purposes[nth]))

        return Dimension("order of demos", [_AS_IT_IS, *map(_order_name, purposes)], apply)

    def _choice_orders(self, run: Run[Any], path: str, predictor: Predictor) -> list[Dimension]:
        found = []
        fields = predictor.signature.output_fields if "choices" in predictor.changeable else {}
        for name, field in fields.items():
            rngs = [run.random(f"{path}: order of {name} {nth}") for nth in range(1, self.choice_orders)]
            found.append(_choice_order(name, _orders_of(field, rngs)))
        return found


def spread(dimensions: Mapping[str, Sequence[Dimension]], count: int, rng: random.Random) -> list[dict[str, int]]:
    """Return so many random combinations of choices.

    In each dimension, half of them leave a predictor as it is, since a good choice in one does not show beside bad ones
    in all others. The other choices are about as frequent as each other.
    """
    found: list[dict[str, int]] = [{} for _ in range(count)]
    for path, of_path in dimensions.items():
        for each in of_path:
            others = itertools.cycle(rng.sample(range(1, len(each.choices)), len(each.choices) - 1))
            numbers = [next(others) if number % 2 else 0 for number in range(count)]
            rng.shuffle(numbers)
            for combination, number in zip(found, numbers, strict=True):
                combination[full_name(path, each)] = number
    return found


def full_name(path: str, dimension: Dimension) -> str:
    """Return the name of a predictor's dimension among those of the program."""
    return f"{path}: {dimension.name}"


def apply(predictor: Predictor, path: str, dimensions: Sequence[Dimension], choices: Mapping[str, Any]) -> None:
    """Give a predictor what was chosen for it."""
    for each in dimensions:
        number = choices.get(full_name(path, each), 0)
        if number:
            each.apply(predictor, number)


def in_words(dimensions: Mapping[str, Sequence[Dimension]], choices: Mapping[str, Any]) -> list[str]:
    """Return what was chosen, in words; without the predictor's path where there is one predictor only."""
    return [
        f"{'' if len(dimensions) == 1 else f'{path}: '}{each.name}: {each.choices[number]}"
        for path, of_path in dimensions.items()
        for each in of_path
        if (number := choices.get(full_name(path, each), 0))
    ]


def _cut_demos(count: int, predictor: Predictor) -> None:
    predictor.demos = predictor.demos[:count]


def _set_demos(demos: Sequence[Demo], predictor: Predictor) -> None:
    predictor.demos = demos


def _set_nearest(demos: Sequence[Demo], count: int, predictor: Predictor) -> None:
    predictor.demos, predictor.demo_selector = demos, NearestDemos(count)


def _set_adapter(predictor: Predictor, adapter: Adapter) -> None:
    predictor.adapter = adapter


def _choice_order(name: str, orders: Sequence[Sequence[Any]]) -> Dimension:
    def apply_(predictor: Predictor, nth: int) -> None:
        predictor.signature = predictor.signature.with_updated_fields(name, choices=orders[nth - 1])

    words = [_order_name(nth) for nth in range(1, len(orders) + 1)]
    return Dimension(f"choices of {name}", [_AS_IT_IS, *words], apply_)


def _orders_of(field: SignatureField, rngs: Sequence[random.Random]) -> list[list[Any]]:
    """Return other orders of the choices of a field than its own; there are few of few choices."""
    own = field.shown_choices()
    found: list[list[Any]] = []
    for nth, rng in enumerate(rngs, start=1):
        order = _in_order(own, nth, rng)
        if order != own and order not in found:
            found.append(order)
    return found


def _in_order(items: list[Any], nth: int, rng: random.Random) -> list[Any]:
    return items[::-1] if nth == 1 else rng.sample(items, len(items))


def _order_name(nth: int) -> str:
    return "reversed" if nth == 1 else f"shuffle {nth - 1}"


def _balanced(run: Run[Any], path: str, predictor: Predictor, count: int) -> list[list[Demo]]:
    """Return sets of labeled demos that have each label; none without an output that has choices."""
    demos = labeled_demos(predictor.signature, run.trainset) if _with_choices(predictor) else []
    found: list[list[Demo]] = []
    for nth in range(count if demos else 0):
        drawn = _covering(run.random(f"{path}: demos of each label {nth}").sample(demos, len(demos)), predictor)
        if drawn and drawn not in found:
            found.append(drawn)
    return found


def _covering(demos: Sequence[Demo], predictor: Predictor) -> list[Demo]:
    """Return the demos that have a label which none before them has."""
    seen: set[tuple[str, str]] = set()
    found = []
    for demo in demos:
        new = set(_labels(demo, _with_choices(predictor))) - seen
        if new:
            seen |= new
            found.append(demo)
    return found


def _labels(demo: Demo, outputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in outputs:
        value = plainest(demo[name]) if name in demo else []
        for label in value if isinstance(value, list) else [value]:
            yield name, canonical_json(label)


def _with_choices(predictor: Predictor) -> list[str]:
    return [name for name, field in predictor.signature.output_fields.items() if field.shown_choices()]
