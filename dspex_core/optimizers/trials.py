"""What a `compile` has tried: each candidate with its score and its cost. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, overload

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.plain.described import described
from dspex_core.stats.intervals import Interval, mean_interval
from dspex_core.stats.paired import paired_p, standard_errors
from dspex_core.stats.selection import best_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.programs.base import Module
    from dspex_core.stats.selection import Selected

_CHANCE = 0.05  # the p from which on a gain may be chance
MARGIN = 1.0  # standard errors; `benchmarks/optimizers/choosing.py` compares it with others


def mean_of(scores: Mapping[Any, float]) -> float:
    """Return the mean of the scores of rows; 0 where nothing was scored."""
    return sum(scores.values()) / len(scores) if scores else 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What was asked of LMs: `calls` and `tokens` of all answers, and of paid ones what they cost in `dollars`."""

    calls: int = 0
    tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.calls + other.calls, self.tokens + other.tokens, self.dollars + other.dollars)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.calls - other.calls, self.tokens - other.tokens, self.dollars - other.dollars)


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate, scored.

    Args:
        number: Its place, from 1.
        name: What it is in words, such as `"8 labeled demos"`.
        scores: The score of each example that it ran on, by the example's place in the valset.
        total: How many examples the valset has.
        spent: What making and scoring it has asked of LMs.
        choices: What was chosen in each dimension of a search.
        program: The program; `None` in a trial that was read from a file, or sent to another process.
    """

    number: int
    name: str
    scores: Mapping[int, float]
    total: int
    spent: Spent = field(default_factory=Spent)
    choices: Mapping[str, Any] = field(default_factory=dict)
    program: Module | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the trial as JSON data, without its program."""
        return {
            "trial": self.number,
            "name": self.name,
            "score": self.score,
            "scores": {str(row): score for row, score in self.scores.items()},
            "total": self.total,
            "choices": described(self.choices),
            "spent": {"calls": self.spent.calls, "tokens": self.spent.tokens, "dollars": self.spent.dollars},
        }

    @property
    def score(self) -> float:
        """The mean score, between 0 and 1 if the metric's are; 0 where nothing was scored."""
        return mean_of(self.scores)

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the mean. For the best of several it is too optimistic: see `Trials.selected`."""
        return mean_interval(list(self.scores.values()))

    @property
    def n(self) -> int:
        """How many examples it ran on."""
        return len(self.scores)

    @property
    def is_full(self) -> bool:
        """Whether it ran on the whole valset, so that it can be chosen."""
        return len(self.scores) == self.total


class Trials(Sequence[Trial]):
    """The leaderboard of a `compile`: its trials in their order.

    Args:
        trials: The trials.
        stopped: Why the search ended early, such as a budget that ran out; empty if it did not.
        spent: What the whole compile has asked of LMs.
        unchanged: The trial of the program as it was before; `None` if it was not scored on the whole valset.
        margin: How many standard errors the best must be better than that program; see `best`.
    """

    def __init__(
        self,
        trials: Sequence[Trial] = (),
        *,
        stopped: str = "",
        spent: Spent | None = None,
        unchanged: Trial | None = None,
        margin: float = MARGIN,
    ) -> None:
        self._trials = tuple(trials)
        self._margin = margin
        self._unchanged = None if unchanged is None else unchanged.number
        self.stopped = stopped
        self.spent = spent or sum((trial.spent for trial in self._trials), Spent())

    @overload
    def __getitem__(self, index: int) -> Trial: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Trial, ...]: ...

    def __getitem__(self, index: int | slice) -> Trial | tuple[Trial, ...]:
        return self._trials[index]

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def best(self) -> Trial | None:
        """The trial that is chosen: the program as it was before, unless another is better by more than chance.

        It is the one with the highest score on the whole valset, of equal ones that with the lowest number. Where the
        program as it was before is on the leaderboard, only those count that are ahead of it by at least `margin`
        standard errors of the paired differences, row by row; without any, that program stays. `None` if no trial ran
        on the whole valset.

        Source: the one-standard-error rule of Breiman et al. 1984, "Classification and Regression Trees", as in
        section 7.10 of Hastie et al. 2009, "The Elements of Statistical Learning", applied to paired differences.
        """
        before = self.unchanged
        return next((trial for trial in self._ranked if before is None or self._is_ahead(trial, before)), before)

    @property
    def leader(self) -> Trial | None:
        """The trial with the highest score on the whole valset, of equal ones the lowest number; `None` without any."""
        return next(iter(self._ranked), None)

    @property
    def _ranked(self) -> list[Trial]:
        full = [trial for trial in self._trials if trial.is_full and trial.n]
        return sorted(full, key=lambda trial: (-trial.score, trial.number))

    def _is_ahead(self, trial: Trial, before: Trial) -> bool:
        """Whether a trial can be chosen instead of the program as it was before."""
        if not self._margin:  # the plain maximum
            return True
        return standard_errors(_differences(trial, before)) >= self._margin

    @property
    def unchanged(self) -> Trial | None:
        """The trial of the program as it was before; `None` if it was not scored on the whole valset."""
        return next((trial for trial in self._trials if trial.number == self._unchanged), None)

    @property
    def doubt(self) -> str:
        """A sentence if the best is not clearly better than the program as it was before; else empty.

        The two are compared row by row, by a paired test at 5 %. It is also empty where the best is that program, and
        where that program was not scored.
        """
        best, before = self.best, self.unchanged
        if best is None or before is None or before is best:
            return ""
        p = paired_p(_differences(best, before))
        if p < _CHANCE:
            return ""
        return (
            f"the best ({best.name}) is not clearly better than the program as it was before: {best.score:.3f} and "
            f"{before.score:.3f} on the same {best.n} rows may differ by chance (paired p = {p:.2f})"
        )

    @property
    def kept(self) -> str:
        """A sentence if the program as it was before stays although another has a higher score; else empty."""
        best, leader = self.best, self.leader
        if best is None or leader is None or best is not self.unchanged or leader.score <= best.score:
            return ""
        ahead = standard_errors(_differences(leader, best))
        return (
            f"the program as it was before is kept: the highest score ({leader.name}, {leader.score:.3f}) is ahead of "
            f"its own ({best.score:.3f}, the same {best.n} rows) by {ahead:.1f} standard errors of the paired "
            f"differences, which may be chance; {self._margin:g} would be enough (margin=0 takes the highest score)"
        )

    @property
    def selected(self) -> Selected | None:
        """The best score with its optimism: the best of many is too high, as it is chosen by the same rows.

        Its `index` is a place in `sorted(trials, key=number)`. Trials that were dropped early count, too: they were
        among those chosen from. `None` where no trial ran on the whole valset.
        """
        best = self.best
        if best is None:
            return None
        tried = sorted((trial for trial in self._trials if trial.n), key=lambda trial: trial.number)
        return best_of([[trial.scores.get(row) for row in sorted(best.scores)] for trial in tried])

    @property
    def candidate_programs(self) -> list[dict[str, Any]]:
        """The candidates as DSPy lists them, the best first: `score` in percent, `program`, `seed`, `subscores`."""
        full = sorted(
            (trial for trial in self._trials if trial.is_full), key=lambda trial: (-trial.score, trial.number)
        )
        return [
            {
                "score": round(100 * trial.score, 2),
                "program": trial.program,
                "seed": trial.choices.get("seed", trial.number),
                **({"strategy": trial.choices["strategy"]} if "strategy" in trial.choices else {}),
                "subscores": list(trial.scores.values()),
            }
            for trial in full
        ]

    def to_table(self) -> str:
        """Return the leaderboard as text, the best first, and what was corrected of the best score."""
        best = self.best
        order = sorted(self._trials, key=lambda trial: (not trial.is_full, -trial.score, trial.number))
        rows = [_row(trial, is_best=trial is best) for trial in order]
        lines = [_table(rows)]
        selected = self.selected
        if selected is not None and selected.of > 1:
            lines.append(
                f"the best of {selected.of} scores {selected.score:.3f} on the {selected.n} rows that chose it; "
                f"on new rows expect about {selected.corrected:.3f}; this is not a test score"
            )
        lines += filter(None, (self.kept, self.doubt))
        if self.stopped:
            lines.append(f"it ended early: {self.stopped}")
        return "\n".join(lines)

    def plot(self, axes: Any = None) -> Any:
        """Draw the scores against the calls so far, with matplotlib; return its axes.

        Raises:
            ConfigurationError: matplotlib is not installed.
        """
        if axes is None:
            axes = _new_axes()
        calls, best, line = 0, 0.0, []
        for trial in self._trials:
            calls += trial.spent.calls
            axes.plot([calls], [trial.score], "o" if trial.is_full else ".", color="tab:blue")
            best = max(best, trial.score) if trial.is_full else best
            line.append((calls, best))
        axes.step([x for x, _ in line], [y for _, y in line], where="post", color="tab:orange", label="best so far")
        axes.set_xlabel("LM calls")
        axes.set_ylabel("score on the valset")
        axes.legend()
        return axes

    def __repr__(self) -> str:
        best = self.best
        return f"<{len(self)} trials{f', the best {best.score:.3f}: {best.name}' if best is not None else ''}>"

    def __str__(self) -> str:
        return self.to_table()

    def __deepcopy__(self, memo: dict[int, Any]) -> Trials:
        return self  # copies of a program share it

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_trials": tuple(replace(trial, program=None) for trial in self._trials)}


def _differences(trial: Trial, other: Trial) -> list[float]:
    return [score - other.scores[row] for row, score in trial.scores.items()]


def _row(trial: Trial, *, is_best: bool) -> dict[str, Any]:
    interval = trial.interval if trial.n else None
    return {
        "": "best" if is_best else "",
        "trial": trial.number,
        "candidate": trial.name,
        "score": f"{trial.score:.3f}",
        "95 %": f"{interval.low:.3f}-{interval.high:.3f}" if interval is not None else "",
        "rows": f"{trial.n}/{trial.total}",
        "calls": trial.spent.calls,
        "$": f"{trial.spent.dollars:.4f}",
    }


def _table(rows: Sequence[dict[str, Any]]) -> str:
    with foreign_code():
        from tabulate import tabulate  # only when a table is asked for

    return str(tabulate(rows, headers="keys", tablefmt="presto", disable_numparse=True))


def _new_axes() -> Any:
    try:
        with foreign_code():
            from matplotlib.figure import Figure  # only for a plot
    except ImportError as error:
        raise ConfigurationError("a plot needs matplotlib: pip install matplotlib") from error
    return Figure(layout="constrained").subplots()
