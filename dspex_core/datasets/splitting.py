"""Seeded splits, and the check for overlap. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.messages import canonical_json
from dspex_core.plain.text import normalized

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dspex_core.example import Example


def overlap(a: Iterable[Example], b: Iterable[Example]) -> list[tuple[Example, Example]]:
    """Return the examples of `a` whose inputs are also in `b`, each with the first such example of `b`.

    Texts that differ in Unicode composition, case or white space only are equal. Both sides
    need inputs of the same names.
    """
    known: dict[str, Example] = {}
    for example in b:
        known.setdefault(_inputs_key(example), example)
    return [(example, known[key]) for example in a if (key := _inputs_key(example)) in known]


def split(
    examples: Sequence[Example], sizes: Sequence[int] | Sequence[float], *, seed: int = 0
) -> tuple[list[Example], ...]:
    """Deal examples at random into parts that share none; the same seed gives the same parts.

    Args:
        examples: What to deal.
        sizes: How many examples each part gets (`(40, 20)`) or which fraction of all
            (`(0.7, 0.3)`). The rest goes into no part.
        seed: The seed of the shuffle.

    Raises:
        ConfigurationError: The parts need more than there is, or one would be empty.
    """
    total = len(examples)
    ends, end = [0], 0.0
    for size in sizes:
        end += size if isinstance(size, int) else size * total
        ends.append(round(end))
    if ends[-1] > total or any(stop <= start for start, stop in pairwise(ends)):
        message = f"{total} examples cannot be split into parts of {tuple(sizes)!r}: each part needs at least one"
        raise ConfigurationError(message)
    shuffled = random.Random(seed).sample(examples, total)  # noqa: S311  a reproducible shuffle, no secret
    return tuple(shuffled[start:stop] for start, stop in pairwise(ends))


def _inputs_key(example: Example) -> str:
    return canonical_json(_normalized(example.inputs().toDict()))


def _normalized(value: Any) -> Any:
    if isinstance(value, str):
        return normalized(value)
    if isinstance(value, dict):
        return {key: _normalized(item) for key, item in value.items()}
    return [_normalized(item) for item in value] if isinstance(value, list) else value
