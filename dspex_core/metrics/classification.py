"""How well labels are predicted over many cases: precision, recall and F1 of each class. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from dspex_core.errors import ConfigurationError
from dspex_core.errors.shown import value_text
from dspex_core.metrics.confusion import ConfusionMatrix, confusion_matrix, labels_of, shown_matrix
from dspex_core.metrics.fields import exact_match, only_field, read_field

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_PREDICTION = "(no prediction)"  # the column of cases that failed


@runtime_checkable
class Evaluated(Protocol):
    """The result of an evaluation."""

    @property
    def cases(self) -> Iterable[Any]:
        """The cases, each with an `example`, a `prediction` and an `error`."""


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The scores of one class; `support` is how many cases are expected to have it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ClassificationReport:
    """How well labels are predicted.

    Args:
        classes: The scores of each class: of the expected labels, and of those that were predicted only.
        accuracy: The share of the cases that are right.
        macro_f1: The mean F1 of the classes.
        weighted_f1: The mean F1 of the classes, weighted by their support.
        confusion: The cases by expected and predicted label.
        n: How many cases there are; `failed` of them have no prediction and count as wrong.
    """

    classes: Mapping[str, ClassScores]
    accuracy: float
    macro_f1: float
    weighted_f1: float
    confusion: ConfusionMatrix
    n: int
    failed: int = 0

    def __str__(self) -> str:
        rows = [("", "precision", "recall", "f1", "support")]
        rows += [
            (label, f"{each.precision:.2f}", f"{each.recall:.2f}", f"{each.f1:.2f}", str(each.support))
            for label, each in self.classes.items()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        means = f"accuracy {self.accuracy:.3f}, macro F1 {self.macro_f1:.3f}, weighted F1 {self.weighted_f1:.3f}"
        failed = f", {self.failed} without a prediction" if self.failed else ""
        matrix = shown_matrix(self.confusion)
        return "\n".join(
            [*lines, "", f"{means}, n={self.n}{failed}", "", "expected in rows, predicted in columns:", *matrix]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the report that `to_json` wrote, in JSON or not.

        Raises:
            ValueError: The data is damaged.
        """
        try:
            classes = {label: ClassScores(**scores) for label, scores in data["classes"].items()}
            stored = data["confusion"]
            cells = tuple(tuple(map(tuple, row)) for row in stored["cells"])
            matrix = ConfusionMatrix(tuple(stored["expected"]), tuple(stored["predicted"]), cells)
            return cls(**{**data, "classes": classes, "confusion": matrix})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a stored classification report is damaged: {error!r}") from error


def classification_report(
    source: Evaluated | Iterable[tuple[Any, Any]], field: str | None = None, *, expected: str | None = None
) -> ClassificationReport:
    """Return how well a field with labels is predicted.

    Labels that `exact_match` takes for the same text are one. A case that failed has no prediction and is wrong.
    Scores of a class that is never predicted or never expected are 0, as in scikit-learn.

    Args:
        source: The result of an evaluation, or pairs of an expected and a predicted label.
        field: The field of the predictions; by default the only output that the examples have a value for.
        expected: The field of the examples, if it has another name.

    Raises:
        ConfigurationError: There are no cases, or they have no such field.
    """
    pairs, failed = (
        _of_cases(source, field, expected) if isinstance(source, Evaluated) else (_given(source), set[int]())
    )
    if not pairs:
        raise ConfigurationError("a classification report needs at least one case")
    labels = [
        (wanted, NO_PREDICTION if place in failed else found) for place, (wanted, found) in enumerate(labels_of(pairs))
    ]
    return _report(labels, failed=len(failed))


def _report(labels: list[tuple[str, str]], *, failed: int) -> ClassificationReport:
    wanted, found = zip(*labels, strict=True)
    names = sorted({*wanted, *found} - {NO_PREDICTION})
    right = Counter(one for one, other in labels if one == other)
    expected, predicted = Counter(wanted), Counter(found)
    classes = {
        name: ClassScores(
            _share(right[name], of=predicted[name]),
            _share(right[name], of=expected[name]),
            _share(2 * right[name], of=expected[name] + predicted[name]),
            expected[name],
        )
        for name in names
    }
    return ClassificationReport(
        classes,
        accuracy=sum(one == other for one, other in labels) / len(labels),
        macro_f1=sum(each.f1 for each in classes.values()) / len(classes),
        weighted_f1=sum(each.f1 * each.support for each in classes.values()) / len(labels),
        confusion=confusion_matrix(dict(enumerate(labels))),
        n=len(labels),
        failed=failed,
    )


def _share(count: int, *, of: int) -> float:
    return count / of if of else 0.0


def _given(source: Any) -> list[tuple[Any, Any]]:
    pairs = list(source) if isinstance(source, Iterable) else [source]
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:  # noqa: PLR2004  expected and predicted
            raise ConfigurationError(
                f"classification_report needs an EvaluationResult, or pairs of an expected and a predicted label, "
                f"not {value_text(pair, 200)}"
            )
    return [(wanted, found) for wanted, found in pairs]


def _of_cases(source: Evaluated, field: str | None, expected: str | None) -> tuple[list[tuple[Any, Any]], set[int]]:
    """Return the expected and the predicted values, and the places of cases without a prediction."""
    cases = list(source.cases)
    metric = exact_match(field, expected=expected)
    there = next((case for case in cases if case.prediction is not None), None)
    if field is None and there is None:
        raise ConfigurationError("no case has a prediction, so name the field: classification_report(result, '...')")
    name = field or only_field(metric, there.example, there.prediction, known=expected is not None)  # type: ignore[union-attr]  # just checked
    pairs, failed = [], set()
    for place, case in enumerate(cases):
        wanted = read_field(metric, "example", case.example, expected or name)
        if case.prediction is None:
            failed.add(place)
        found = None if case.prediction is None else read_field(metric, "prediction", case.prediction, name)
        pairs.append((wanted, found))
    return pairs, failed
