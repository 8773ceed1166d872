"""How far a judge agrees with people: kappa, confusion matrix, and biases of the judge. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

Counts = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row that a judge and a person have scored.

    Args:
        judged, label: Their scores, from 0 to 1.
        length: The number of characters of what was judged.
    """

    judged: float
    label: float
    length: int


@dataclass(frozen=True, slots=True)
class PositionBias:
    """How often a pairwise judge changed its mind when the two responses changed places.

    Args:
        n: The number of pairs.
        inconsistent: How many got different answers in the two orders.
        to_first: Of these, how many went to the response shown first both times.
        to_second: Of these, how many went to the one shown second both times.
    """

    n: int
    inconsistent: int
    to_first: int
    to_second: int

    @property
    def bias(self) -> float:
        """From -1, always the response shown second, to 1, always the one shown first; 0 is even."""
        return (self.to_first - self.to_second) / self.n if self.n else 0.0


@dataclass(frozen=True)
class Calibration:
    """How far a judge agrees with people on labelled rows.

    Args:
        names: The answers of the scale, the lowest first.
        confusion: How often people gave the answer of the row and the judge that of the column.
        rows: The scores of each row that was judged.
        failures: What went wrong where the judge failed, by the number of the row. These rows count nowhere else.
        position: The bias by position of a pairwise judge.
    """

    names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    rows: tuple[Labelled, ...]
    failures: tuple[tuple[int, str], ...] = ()
    position: PositionBias | None = None

    @property
    def n(self) -> int:
        """The number of rows that were judged."""
        return len(self.rows)

    @property
    def accuracy(self) -> float:
        """The share of the rows on which judge and person gave one answer."""
        return sum(self.confusion[place][place] for place in range(len(self.names))) / self.n

    @property
    def kappa(self) -> float:
        """Cohen's kappa (Cohen 1960): the agreement beyond chance; 1 is full, 0 is by chance."""
        return cohens_kappa(self.confusion)

    @property
    def weighted_kappa(self) -> float:
        """Cohen's kappa with quadratic weights (Cohen 1968): a near miss counts for less than a far one."""
        return cohens_kappa(self.confusion, power=2)

    @property
    def bias(self) -> float:
        """By how much the judge scores higher than people, in the mean."""
        return fmean(row.judged - row.label for row in self.rows)

    @property
    def length_bias(self) -> float:
        """The rank correlation (Spearman 1904) of a text's length with how far the judge is above the person.

        Above 0, the judge favours long texts more than people do.
        """
        errors, lengths = [row.judged - row.label for row in self.rows], [row.length for row in self.rows]
        return rank_correlation(lengths, errors)

    @property
    def pairs(self) -> list[tuple[float, float]]:
        """The judge's and the person's score of each row: the labels that `Judge.corrected` takes."""
        return [(row.judged, row.label) for row in self.rows]

    def to_table(self) -> str:
        """Return the figures and the confusion matrix as a text."""
        figures = {
            "rows": str(self.n),
            "accuracy": f"{self.accuracy:.3f}",
            "Cohen's kappa": f"{self.kappa:.3f}",
            "weighted kappa": f"{self.weighted_kappa:.3f}",
            "judge minus people": f"{self.bias:+.3f}",
            "bias by length": f"{self.length_bias:+.3f}",
        }
        if self.position is not None:
            figures["bias by position"] = f"{self.position.bias:+.3f}"
            figures["changed with the order"] = f"{self.position.inconsistent} of {self.position.n}"
        if self.failures:
            figures["judge failed"] = f"{len(self.failures)} rows, the first: {self.failures[0][1]}"
        width = max(map(len, figures))
        lines = [f"{name:<{width}}  {value}" for name, value in figures.items()]
        return "\n".join([*lines, "", *_matrix(self.names, self.confusion)])

    def __str__(self) -> str:
        return self.to_table()


def cohens_kappa(confusion: Counts, *, power: int = 0) -> float:
    """Return Cohen's kappa of a confusion matrix.

    Args:
        confusion: How often one rater gave the answer of the row and the other that of the column.
        power: How the weight of a disagreement grows with its distance: 0 not at all, 1 linearly, 2 quadratically.

    Returns 1 where both gave one and the same answer throughout, since they never disagree; `nan` without any answers.
    """
    n, size = sum(map(sum, confusion)), range(len(confusion))
    if not n:
        return math.nan
    rows = [sum(row) for row in confusion]
    columns = [sum(row[place] for row in confusion) for place in size]
    weights = [[0 if a == b else abs(a - b) ** power for b in size] for a in size]
    found = sum(weights[a][b] * confusion[a][b] for a in size for b in size)
    by_chance = sum(weights[a][b] * rows[a] * columns[b] for a in size for b in size) / n
    return 1 - found / by_chance if by_chance else 1.0


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation; 0 where one of both does not vary."""
    first, second = _ranks(one), _ranks(other)
    middle = (len(first) - 1) / 2
    above = math.fsum((a - middle) * (b - middle) for a, b in zip(first, second, strict=True))
    spread = math.fsum((a - middle) ** 2 for a in first) * math.fsum((b - middle) ** 2 for b in second)
    return above / math.sqrt(spread) if spread else 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value from 0; equal ones share the mean of theirs."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    ranks, begun = [0.0] * len(values), 0
    for end in range(1, len(order) + 1):
        if end == len(order) or values[order[end]] != values[order[begun]]:
            for place in order[begun:end]:
                ranks[place] = (begun + end - 1) / 2
            begun = end
    return ranks


def _matrix(names: Sequence[str], confusion: Counts) -> list[str]:
    """Write a confusion matrix."""
    cells: list[list[Any]] = [["people \\ judge", *names]]
    cells += [[name, *row] for name, row in zip(names, confusion, strict=True)]
    widths = [max(len(str(row[place])) for row in cells) for place in range(len(cells[0]))]
    return [
        "  ".join(
            f"{cell:<{width}}" if not place else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
