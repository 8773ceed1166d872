"""Our programs as the `gepa` library sees them: texts by name, examples, scores. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from dspex_core.errors import AdapterParseError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.optimizers.demos import Student

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dspex_core.config.contracts import Trace
    from dspex_core.evaluation.case import CaseResult
    from dspex_core.example import Example
    from dspex_core.optimizers.gepa.feedback import Feedback
    from dspex_core.optimizers.gepa.reflection import Records, Reflection
    from dspex_core.optimizers.run import Candidate, Run

_LEAST = 1e-12  # for a score of zero: the library draws with means as weights, and cannot when all are zero

Texts = dict[str, str]


class Path(str):
    """A predictor's path with the same hash in every process: the library's merge iterates over a set of them."""

    __slots__ = ()

    def __hash__(self) -> int:
        return zlib.crc32(self.encode())


class Escape(BaseException):
    """Carries an error through the library, which would log it and go on."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class Scored(Generic[Student]):
    """A program with its instructions, and what it did with rows of the valset."""

    candidate: Candidate[Student]
    cases: dict[int, CaseResult] = field(default_factory=dict)
    is_closed: bool = False


class ProgramAdapter(Generic[Student]):
    """Runs programs for the library, and writes what it reflects on.

    Args:
        run: The compile.
        feedback: Asks the metric for feedback.
        reflection: Writes new instructions.
        failure_score: The score of an example that fails.
        shows_failed_replies: Whether a reply that could not be read is reflected on.
        keeps_values: Whether inputs and outputs stay values; else they are shown as texts.
    """

    def __init__(
        self,
        run: Run[Student],
        *,
        feedback: Feedback,
        reflection: Reflection,
        failure_score: float,
        shows_failed_replies: bool,
        keeps_values: bool,
    ) -> None:
        self._run = run
        self._feedback = feedback
        self.reflection = reflection
        self._failure_score = failure_score
        self._shows_failed_replies = shows_failed_replies
        self._keeps_values = keeps_values
        self._rng = run.random("reflection")
        # Copies, so that each row is an object of its own: by it an example is known again.
        self.trainset = [example.copy() for example in run.trainset]
        self.valset = [example.copy() for example in run.validation]
        self._rows = {id(example): row for row, example in enumerate(self.valset)}
        self.scored: dict[tuple[tuple[str, str], ...], Scored[Student]] = {}

    def program(self, texts: Mapping[str, str]) -> Student:
        """Return the student with instructions; demos stay as they are."""
        program = self._run.student.deepcopy()
        for path, predictor in program.named_predictors():
            if path in texts and predictor.signature.instructions != texts[path]:
                predictor.signature = predictor.signature.with_instructions(texts[path])
        return program

    def evaluate(self, batch: Sequence[Example], candidate: Mapping[str, str], capture_traces: bool = False) -> Any:  # noqa: FBT001, FBT002  the library's protocol
        """Run a candidate on examples; rows of the valset become a trial once all have run."""
        with foreign_code():
            from gepa.core.adapter import EvaluationBatch  # optional

        texts = plain(candidate)
        rows = [self._rows.get(id(example)) for example in batch]
        with escaping():
            if None in rows:
                cases = list(self._run.evaluate(self.program(texts), batch, traces=True).cases)
            else:
                cases = self._on_valset(texts, [row for row in rows if row is not None])
        scores = [self._score(case) for case in cases]
        shown = scores if None in rows else [score or _LEAST for score in scores]
        return EvaluationBatch(
            outputs=[case.prediction for case in cases], scores=shown, trajectories=cases if capture_traces else None
        )

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: Any, components_to_update: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the records of each predictor: what it was given, what it answered, and the feedback."""
        with escaping():
            predictors = dict(self.program(plain(candidate)).named_predictors())
            found = {
                str(path): [
                    record
                    for case in eval_batch.trajectories
                    if (record := self._record(case, str(path), predictors)) is not None
                ]
                for path in components_to_update
            }
        return {path: records for path, records in found.items() if records}

    def propose_new_texts(
        self, candidate: Mapping[str, str], reflective_dataset: Records, components_to_update: Sequence[str]
    ) -> dict[str, str]:
        """Return new instructions; none for a predictor for which none could be written."""
        with escaping():
            paths = [str(path) for path in components_to_update]
            texts = self.reflection.texts(plain(candidate), reflective_dataset, paths)
        return {Path(path): text for path, text in texts.items()}

    def _on_valset(self, texts: Texts, rows: Sequence[int]) -> list[CaseResult]:
        key = tuple(texts.items())
        if key not in self.scored:
            name = "the program's own instructions" if not self.scored else f"instructions {len(self.scored)}"
            self.scored[key] = Scored(self._run.candidate(name, partial(self.program, texts), texts))
        own = self.scored[key]
        wanted = [row for row in dict.fromkeys(rows) if row not in own.cases]
        result = own.candidate.score(wanted)
        if result is not None:
            own.cases.update(zip(wanted, result.cases, strict=True))
            own.candidate.scores.update({row: self._score(own.cases[row]) for row in wanted})
        if not own.is_closed and len(own.cases) == len(self.valset):
            self._refuse_broken(own)
            own.is_closed = True
            self._run.close(own.candidate)
        return [own.cases[row] for row in rows]

    def _refuse_broken(self, own: Scored[Student]) -> None:
        """Raise where the program that is to be improved fails on each example."""
        errors = [case.error for case in own.cases.values() if case.error is not None]
        if len(self.scored) == 1 and len(errors) == len(self.valset):
            raise self._run.failure(f"the program failed on each of {len(errors)} examples; the first: {errors[0]}")

    def _score(self, case: CaseResult) -> float:
        return self._failure_score if case.error is not None else case.score.value

    def _record(self, case: CaseResult, path: str, predictors: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a record of one of the predictor's calls in a case, `None` where it has made none."""
        if (unread := self._unread(case, path, predictors)) is not None:
            return unread
        own = [step for step in case.trace if step.predictor == path]
        if not own:
            return None
        step = self._rng.choice(own)
        trace: Trace = [(predictors.get(each.predictor), dict(each.inputs), each.outputs) for each in case.trace]
        call = (predictors[path], step.inputs, step.outputs)
        return {
            "Inputs": self._shown(step.inputs),
            "Generated Outputs": self._shown(step.outputs),
            "Feedback": self._feedback.of(case, path=path, step=call, trace=trace),
        }

    def _unread(self, case: CaseResult, path: str, predictors: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the record of a reply that could not be read, where the predictor has got it."""
        error = None if case.error is None else case.error.error
        if not self._shows_failed_replies or not isinstance(error, AdapterParseError):
            return None
        signature = predictors[path].signature
        if error.signature is not signature and getattr(error.signature, "fields", None) != signature.fields:
            return None
        outputs = ", ".join(f"`{name}`" for name in signature.output_fields)
        feedback = (
            f"The reply could not be read. {' '.join(error.problems)} It must have {outputs} in the asked format."
        )
        inputs = {name: case.example[name] for name in signature.input_fields if name in case.example}
        return {"Inputs": self._shown(inputs), "Generated Outputs": error.lm_response, "Feedback": feedback}

    def _shown(self, values: Any) -> dict[str, Any]:
        return {name: value if self._keeps_values else str(value) for name, value in dict(values.items()).items()}


@contextmanager
def escaping() -> Iterator[None]:
    """Let errors out of the library."""
    try:
        yield
    except Exception as error:
        raise Escape(error) from error


def plain(texts: Mapping[str, str]) -> Texts:
    """Return texts by ordinary names."""
    return {str(path): text for path, text in texts.items()}


def selecting(selector: Callable[..., Any]) -> Callable[..., list[str]]:
    """Return a selector of the user's own that sees ordinary names, and whose errors are let out."""

    def select(state: Any, trajectories: Any, subsample_scores: Any, candidate_idx: int, candidate: Any) -> list[str]:
        with escaping():
            chosen = selector(state, trajectories, subsample_scores, candidate_idx, plain(candidate))
            unknown = [name for name in chosen if name not in plain(candidate)]
            if unknown:
                raise ValueError(f"component_selector chose {unknown!r}; there are {', '.join(candidate)}")
        return [Path(name) for name in chosen]

    return select
