"""BootstrapFinetune: a program's weights from what a teacher does right. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex_core.lm.base import BaseLM
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.finetune.data import TrainingData, file_name, groups, rows_of
from dspex_core.optimizers.finetune.jobs import started, trained, trains_itself
from dspex_core.optimizers.plan import CompilePlan
from dspex_core.plain.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from dspex_core.adapters.base import Adapter
    from dspex_core.config.contracts import LanguageModel
    from dspex_core.evaluation.case import CaseResult
    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.lm.client import LM
    from dspex_core.optimizers.demos import Student
    from dspex_core.optimizers.run import Run

_log = logging.getLogger("dspex")


@dataclass(frozen=True, repr=False)
class BootstrapFinetune(Optimizer):
    """Writes what a teacher does right as training examples, and lets the provider train on them if asked to.

    The teacher runs on each training example. Where the metric accepts its prediction, each call of a predictor becomes
    a row of a JSON lines file: the messages with which the student would ask, and the teacher's answer. There is a file
    for each LM (`multitask`), or each predictor. The program that is returned has `training_data`, which names them.

    Where an LM was made with a `Provider` of yours that trains, it does so, the jobs are awaited, and the program's
    predictors get the trained LMs. With `submit=True` the files of other LMs are uploaded through LiteLLM's fine-tuning
    API, with the same end. This part is tested against a server of our own that speaks OpenAI's endpoints; it has not
    been run with a provider.

    Source: Soylu et al. 2024, "Fine-Tuning and Prompt Optimization: Two Great Steps that Work Better Together".

    Args:
        metric: `metric(example, prediction, trace=None)`; a true result accepts. Without one, all are accepted.
        multitask: Whether all predictors with the same LM are trained together.
        train_kwargs: Further arguments of the job, such as `hyperparameters` or `suffix`; or those of each LM, by LM.
        adapter: Writes the messages, that of the settings by default; or the adapter of each LM, by LM.
        exclude_demos: Whether the predictors' demos are left out: of the messages and of the program.
        num_threads: How many examples run at once; `settings.num_threads` by default.
        max_errors: How many examples may fail; `settings.max_errors` by default.
        folder: Where the files are written.
        submit: Whether to train, which costs money; by default, only LMs with a `Provider` of yours.
        poll: After how many seconds to ask again whether a job has ended.
        seed: Decides the order of the rows.
    """

    metric: Metric | None = None
    multitask: bool = True
    train_kwargs: Mapping[str, Any] | Mapping[LM, Mapping[str, Any]] | None = None
    adapter: Adapter | Mapping[LM, Adapter] | None = None
    exclude_demos: bool = False
    num_threads: int | None = None
    _: KW_ONLY
    max_errors: int | None = None
    folder: str | PathLike[str] = "finetuning"
    submit: bool | None = None
    poll: float = 30.0
    seed: int = 0

    def get_params(self) -> dict[str, Any]:
        """Return the options, without those that carry credentials."""
        return without_secrets(super().get_params())

    def planned_runs(self, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan:
        """Return how often it runs a program at most; what training costs is not in it."""
        return CompilePlan(train_runs=len(trainset))

    def _compile(self, run: Run[Student]) -> Student:
        """Return the program, with trained LMs if that was asked for; the valset has no part in it.

        Raises:
            OptimizationError: The teacher has other predictors, or the metric accepts no prediction.
            ConfigurationError: An LM cannot be trained, or a job failed.
        """
        program = run.student.deepcopy()
        data = self._data(run, self._accepted(run))
        for each in data:
            each.write()
            _log.info("%d training examples for %r are in %s", len(each.rows), each.predictors, each.path)
        if self.exclude_demos:
            for predictor in program.predictors():
                predictor.demos = ()
        chosen = [each for each in data if (trains_itself(each.lm) if self.submit is None else self.submit)]
        jobs = [started(each, _of_lm(self.train_kwargs, each.lm) or {}) for each in chosen]
        predictors = dict(program.named_predictors())
        for each, job in zip(chosen, jobs, strict=True):
            lm = trained(job, poll=self.poll)
            for path in each.predictors:
                predictors[path].lm = lm
        vars(program)["training_data"] = _Noted(data)
        return program

    def _accepted(self, run: Run[Any]) -> list[CaseResult]:
        """Return what the teacher did where the metric accepts it."""
        teacher = run.teacher or run.student
        asked, offered = ({path for path, _ in each.named_predictors()} for each in (run.student, teacher))
        if asked != offered:
            reason = f"the teacher must have the student's predictors, {sorted(asked)!r}, but has {sorted(offered)!r}"
            raise run.failure(reason)
        run.metric = self.metric or _accepts_all
        cases = run.evaluate(teacher, run.trainset, traces=True).cases
        accepted = [case for case in cases if case.error is None and case.score]
        if not accepted:
            raise run.failure(
                f"the metric accepts none of the teacher's {len(cases)} predictions, so none can be learned"
            )
        return accepted

    def _data(self, run: Run[Any], cases: Sequence[CaseResult]) -> list[TrainingData]:
        found = []
        for lm, paths in groups(run.student, multitask=self.multitask):
            rows = rows_of(
                cases, run.student, paths, adapter=_of_lm(self.adapter, lm), with_demos=not self.exclude_demos
            )
            shuffled = run.random(f"rows of {paths}").sample(rows, len(rows))
            path = Path(self.folder) / file_name(lm, paths, multitask=self.multitask)
            found.append(TrainingData(lm, paths, shuffled, path))
        return found


class _Noted(tuple[TrainingData, ...]):
    """The training data that a program was made with; copies of the program share it."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> _Noted:
        return self


def _of_lm(given: Any, lm: LanguageModel | None) -> Any:
    """Return an option's value for an LM: the option may be a dict by LM."""
    by_lm = isinstance(given, Mapping) and len(given) > 0 and all(isinstance(key, BaseLM) for key in given)
    return given.get(lm) if by_lm else given


def _accepts_all(*_: Any, **__: Any) -> bool:
    return True
