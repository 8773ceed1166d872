"""Seeded samples and splits, which depend on the seed and on the rows, not on their order. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.ids import content_id
from dspex_core.errors import ConfigurationError
from dspex_core.plain.counts import is_number
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.example import Example

By = str | Callable[["Example"], Any]


def sample(examples: Iterable[Example], size: float, *, seed: int = 0) -> list[Example]:
    """Draw examples at random, in the order in which they stand.

    The same seed draws the same examples. An example that is added or removed elsewhere changes the sample by one at
    most.

    Args:
        examples: The examples to draw from; of an iterator with a whole number as `size`, only the sample is kept.
        size: How many, or a part of them below 1.0, such as `0.1`.
        seed: The seed.

    Raises:
        ConfigurationError: `size` is neither a positive number of examples that there are, nor a part.
    """
    is_part = isinstance(size, float)
    if not is_number(size) or not (0 < size < 1 if is_part else size > 0):
        raise ConfigurationError(f"size={size!r} must be a positive number of examples, or a part of them below 1.0")
    if is_part:
        examples = list(examples)
        size = max(1, round(size * len(examples)))
    numbered = ((key, number, example) for number, (key, example) in enumerate(_drawn(examples, seed)))
    chosen = heapq.nsmallest(int(size), numbered, key=lambda item: item[:2])
    if len(chosen) < size:
        raise ConfigurationError(f"size={size!r} asks for more than the {len(chosen)} examples that there are")
    return [example for _, _, example in sorted(chosen, key=lambda item: item[1])]


def split(
    examples: Iterable[Example], sizes: Sequence[int] | Sequence[float], *, seed: int = 0, by: By | None = None
) -> tuple[list[Example], ...]:
    """Deal examples at random into parts that share none; the same seed gives the same parts.

    The parts depend on the examples and the seed, not on the order of the examples.

    Args:
        examples: What to deal.
        sizes: How many examples each part gets (`(40, 20)`) or which fraction of all
            (`(0.7, 0.3)`). The rest goes into no part.
        seed: The seed of the shuffle.
        by: The field whose values each part is to have in the same proportions (a stratified split), or a function
            that returns such a value.

    Raises:
        ConfigurationError: The parts need more than there is, or one would be empty; or an example has no field `by`.
    """
    drawn = [example for _, example in sorted(_drawn(examples, seed), key=lambda item: item[0])]
    total = len(drawn)
    ends, end = [0], 0.0
    for size in sizes:
        end += size if isinstance(size, int) else size * total
        ends.append(round(end))
    if not sizes or ends[-1] > total or any(stop <= start for start, stop in pairwise(ends)):
        message = f"{total} examples cannot be split into parts of {tuple(sizes)!r}: each part needs at least one"
        raise ConfigurationError(message)
    counts = [stop - start for start, stop in pairwise(ends)]
    if by is None:
        return tuple(drawn[start:stop] for start, stop in pairwise(ends))
    return _dealt(_by_stratum(drawn, by), counts)


def _drawn(examples: Iterable[Example], seed: int) -> Iterator[tuple[bytes, Example]]:
    """Return each example with the key by which it is ordered: a hash of the seed and of its id or content."""
    seen: Counter[str] = Counter()
    for example in examples:
        name = example.id or content_id(example)
        seen[name] += 1
        text = name if seen[name] == 1 else f"{name}\0{seen[name]}"
        yield hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "surrogatepass")).digest(), example


def _by_stratum(examples: Sequence[Example], by: By) -> list[Example]:
    """Return the examples with those of one stratum next to each other."""
    strata: dict[str, list[Example]] = {}
    for example in examples:
        if callable(by):
            value = by(example)
        elif by in example:
            value = example[by]
        else:
            raise ConfigurationError(
                f"the example {value_text(example.id or example, 100)} has no field {by!r} to split by"
            )
        strata.setdefault(f"{type(value).__name__} {value!r}", []).append(example)
    return [example for name in sorted(strata) for example in strata[name]]


def _dealt(examples: Sequence[Example], counts: Sequence[int]) -> tuple[list[Example], ...]:
    """Deal examples in order, each to the part that is furthest behind its share of those dealt so far.

    So any run of neighbours, as a stratum is, is dealt in proportion to the parts (R. Tijdeman, "The chairman
    assignment problem", Discrete Mathematics 32, 1980).
    """
    total = len(examples)
    wanted = [*counts, total - sum(counts)]  # the last is what goes into no part
    parts: list[list[Example]] = [[] for _ in wanted]
    for number, example in enumerate(examples, 1):
        open_parts = [part for part, count in enumerate(wanted) if len(parts[part]) < count]
        behind = max(open_parts, key=lambda part: wanted[part] * number / total - len(parts[part]))
        parts[behind].append(example)
    return tuple(parts[:-1])
