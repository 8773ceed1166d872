"""Examples that are in two sets of data: the same, or nearly. PYTEST_DONT_REWRITE

The candidates for near-duplicates are found with `minhash`, and their similarity is measured exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.messages import canonical_json
from dspex_core.plain.text import normalized

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dspex_core.example import Example

_SHINGLE = 3  # characters; a word that is changed touches few of them
_MARKS = (
    ".,;:!?\u2026\"'()[]{}\u00bf\u00a1\u00ab\u00bb\u201c\u201d\u2018\u2019\u3002\uff0c\uff01\uff1f\u3001\uff1b\uff1a"
)
_MOST_TEXT = 20_000  # characters of a field that count


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """An example and the one of the other set that is most like it; 1.0 is the highest `similarity`."""

    example: Example
    other: Example
    similarity: float


def overlap(a: Iterable[Example], b: Iterable[Example]) -> list[tuple[Example, Example]]:
    """Return the examples of `a` whose inputs are also in `b`, each with the first such example of `b`.

    Texts that differ in Unicode composition, case or white space only are equal. Both sides
    need inputs of the same names.
    """
    known: dict[str, Example] = {}
    for example in b:
        known.setdefault(_inputs_key(example), example)
    return [(example, known[key]) for example in a if (key := _inputs_key(example)) in known]


def near_duplicates(a: Iterable[Example], b: Iterable[Example], *, threshold: float = 0.7) -> list[NearDuplicate]:
    """Return the examples of `a` whose inputs are nearly those of an example of `b`, each with the most similar one.

    The similarity of two texts is the part of their sequences of three characters that both have (the Jaccard index),
    and that of two examples the lowest of their inputs', so a question on the same document is no duplicate of
    another. Case, white space and the punctuation around words do not count. The pairs of `overlap` are included, with
    a similarity of 1. 0.7 is one word changed in about ten.

    10,000 examples against 10,000 take seconds; the time grows with their product only where nearly all are alike.

    Args:
        a: The examples to look for, such as a testset.
        b: The examples among which they must not be, such as a trainset.
        threshold: The lowest similarity, from 0.5 to 1. A pair at the default is missed once in 6,000.

    Raises:
        ConfigurationError: `threshold` is not from 0.5 to 1.
    """
    if not 0.5 <= threshold <= 1:  # noqa: PLR2004  below, candidates would be missed
        raise ConfigurationError(f"threshold={threshold!r} must be a number from 0.5 to 1")
    left, right = list(a), list(b)
    exact = {id(example): other for example, other in overlap(left, right)}
    rest = [example for example in left if id(example) not in exact]
    near = {id(found.example): found for found in _nearest(rest, right, threshold)} if rest and right else {}
    pairs = [NearDuplicate(each, exact[id(each)], 1.0) if id(each) in exact else near.get(id(each)) for each in left]
    return [pair for pair in pairs if pair is not None]


def _inputs_key(example: Example) -> str:
    return canonical_json(_normalized(example.inputs().toDict()))


def _normalized(value: Any) -> Any:
    if isinstance(value, str):
        return normalized(value)
    if isinstance(value, dict):
        return {key: _normalized(item) for key, item in value.items()}
    return [_normalized(item) for item in value] if isinstance(value, list) else value


def _nearest(left: Sequence[Example], right: Sequence[Example], threshold: float) -> Iterator[NearDuplicate]:
    from dspex_core.datasets.minhash import likeliest  # loads NumPy, which only those who look for them need

    mine, others = ([_texts(example) for example in side] for side in (left, right))
    for number, candidates in likeliest(mine, others, width=_SHINGLE):
        similarity, place = max((_similarity(mine[number], others[each]), -each) for each in candidates)
        if similarity >= threshold:
            yield NearDuplicate(left[number], right[-place], similarity)


def _texts(example: Example) -> list[str]:
    values = sorted(example.inputs().toDict().items())
    return [_words(value if isinstance(value, str) else canonical_json(value))[:_MOST_TEXT] for _, value in values]


def _words(text: str) -> str:
    """Return a text without the punctuation around its words."""
    return " ".join(word.strip(_MARKS) or word for word in normalized(text).split())


def _similarity(left: Sequence[str], right: Sequence[str]) -> float:
    """Return the lowest Jaccard index of two examples' inputs."""
    if len(left) != len(right):
        return 0.0
    return min((_jaccard(one, other) for one, other in zip(left, right, strict=True)), default=0.0)


def _jaccard(left: str, right: str) -> float:
    if left == right:
        return 1.0
    one, other = _pieces(left), _pieces(right)
    return len(one & other) / len(one | other)


def _pieces(text: str) -> set[str]:
    padded = f"{text} ".rjust(_SHINGLE)
    return {padded[start : start + _SHINGLE] for start in range(len(padded) - _SHINGLE + 1)}
