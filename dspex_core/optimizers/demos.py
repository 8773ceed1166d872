"""Demos made of examples. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, TypeVar

from dspex_core.example import Example

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dspex_core.example import Record
    from dspex_core.programs.base import Module
    from dspex_core.signatures.signature import Signature

Demo = Example
Student = TypeVar("Student", bound="Module")


def seeded(seed: int | str) -> random.Random:
    """Return the random numbers of a seed."""
    return random.Random(seed)  # noqa: S311  draws examples, no secrets


def without_demos(program: Student) -> Student:
    """Return a copy whose predictors have no demos. They keep their LMs."""
    clone = program.deepcopy()
    for predictor in clone.predictors():
        predictor.demos, predictor.demo_selector = (), None
    return clone


def labeled_demos(signature: type[Signature], examples: Iterable[Example]) -> list[Demo]:
    """Make a demo of each example that has an output of the signature, and an input if it takes any."""
    demos = [labeled_demo(signature, example) for example in examples]
    return [demo for demo in demos if demo is not None]


def labeled_demo(signature: type[Signature], example: Example) -> Demo | None:
    """Make a demo of an example: the signature's fields that it has, and no others."""
    demo = own_fields(signature, example)
    answered = any(name in demo for name in signature.output_fields)
    asked = not signature.input_fields or any(name in demo for name in signature.input_fields)
    return demo if asked and answered else None


def drawn(demos: list[Demo], count: int, rng: random.Random) -> list[Demo]:
    """Return that many demos, or all where there are fewer, in random order."""
    return rng.sample(demos, max(0, min(count, len(demos))))


def own_fields(signature: type[Signature], values: Mapping[str, Any] | Record) -> Demo:
    """Return of some values those that are a signature's, as an example."""
    return Example({name: values[name] for name in signature.fields if name in values})
