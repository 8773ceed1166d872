"""Evaluate: run a program on a dataset, many examples at once, and score it. PYTEST_DONT_REWRITE

An example that fails is recorded with its error and counts as `failure_score`; it is never
dropped. What an evaluation has finished is never lost.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, Unpack

from dspex_core.config import current
from dspex_core.errors import ConfigurationError
from dspex_core.evaluation.options import check_options, check_outputs, check_run
from dspex_core.evaluation.read_once import lazily
from dspex_core.flow.steps import adrive, drive, in_own_loop
from dspex_core.programs.adopting import adopted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor
    from os import PathLike

    from dspex_core.evaluation.loop import Loop
    from dspex_core.evaluation.options import Keep
    from dspex_core.evaluation.result import EvaluationResult
    from dspex_core.evaluation.run import Metric, Program
    from dspex_core.evaluation.stopping import Rule

T = TypeVar("T")
DevsetLike = Any  # as `load_dataset` takes it, and iterators; None for that of the evaluation


class CallOptions(TypedDict, total=False):
    """Options that a call of `Evaluate` may change, for this call; `None` leaves one as it is.

    `callback_metadata` is among the inputs that callbacks get.
    """

    num_threads: int | None
    display_progress: bool | None
    display_table: bool | int | None
    callback_metadata: Mapping[str, Any] | None
    executor: Executor | None
    save_as_csv: str | PathLike[str] | None
    save_as_json: str | PathLike[str] | None


class Evaluate:
    """Runs programs on a dataset and scores them.

    Args:
        devset: The examples; `with_inputs` has named their inputs. Dicts, a DataFrame, the path of a file and whatever
            else `load_dataset` takes are read; where rows do not name their inputs, these are the fields that the
            program takes. An iterator is read row by row, as there is room for another.
        metric: `metric(example, prediction, trace=None)`, sync or async, returning a number, a
            bool or a `Score`.
        num_threads: How many examples run at once; `settings.num_threads` by default.
        display_progress: Whether to show a progress bar on stderr; `None` shows it on a terminal only.
        display_table: Whether to write a table of the cases to `sys.stdout`, or of the first so many; on a terminal
            only. `result.results` has them, too.
        provide_traceback: Whether the log shows where a failure came from; `settings.provide_traceback` by default.
            Each of `result.errors` has its traceback, too.
        max_errors: After how many failed examples to stop; `settings.max_errors` by default.
        failure_score: The score of a failed example.
        save_as_csv, save_as_json: Files to write what was done to, a row for each example.
        timeout: Seconds that an example may take, the metric included; what a thread is doing then goes on until its
            step ends, and is dropped.
        repeats: The number of attempts at each example. At a temperature above 0, each attempt asks the model anew, in
            caches and cassettes, too. They count as their mean.
        keep: Which cases stay in memory: `"all"`; `"failures"`, those with an error or a score below 1; or `"none"`.
            The scores, the mean and its interval are those of all cases.
        traces: Whether each case keeps which predictors ran, with their inputs and outputs.
        stop_when: A rule that ends the evaluation as soon as it is settled: `decided(min=0.85)`. The examples then run
            in a random order.
        seed: Of that order.
        executor: Whose workers run the examples: any `concurrent.futures.Executor`, such as that of a Dask client.
            `settings.executor` by default; without one, this process runs them. `num_threads` is then how many are
            with workers at once.
        journal: A file to which each finished case is appended. A run that was killed, or that stopped, goes on from
            it, and asks nothing that is in it; so does a call after a whole run. It refuses another program, LM,
            metric or devset.
        retry_errors: Whether cases of the journal that failed are asked again, or stay as they are.

    Raises on a call:
        ConfigurationError: The metric is missing, the devset is empty, an option cannot be used, or the journal is of
            another evaluation, damaged, or in use.
        DatasetError: The file of the devset cannot be used.
        EvaluationError: More than `max_errors` examples failed, the budget ran out, or the journal cannot be written;
            its `result` holds what was done.

    A sync call runs examples in threads; if the program or the metric is async alone, in one event loop, and in a
    notebook, where a loop runs already, in a thread beside it. An async call (`acall`) runs them as tasks of the
    running loop; what is sync runs in threads, with its context.

    Ctrl-C ends it at once: calls under way are left behind, the files hold what was done, and so does the
    `result` of the `KeyboardInterrupt`. In an event loop that is the `result` of the `CancelledError`, which
    `asyncio.run` turns into a `KeyboardInterrupt` with that as its context.
    """

    def __init__(  # noqa: PLR0913  DSPy's signature
        self,
        *,
        devset: DevsetLike,
        metric: Metric | None = None,
        num_threads: int | None = None,
        display_progress: bool | None = False,
        display_table: bool | int = False,
        max_errors: int | None = None,
        provide_traceback: bool | None = None,
        failure_score: float = 0.0,
        save_as_csv: str | PathLike[str] | None = None,
        save_as_json: str | PathLike[str] | None = None,
        timeout: float | None = None,
        repeats: int = 1,
        keep: Keep = "all",
        traces: bool = True,
        stop_when: Rule | None = None,
        seed: int = 0,
        executor: Executor | None = None,
        journal: str | PathLike[str] | None = None,
        retry_errors: bool = True,
    ) -> None:
        self.devset = lazily(devset, remembers=keep == "all")
        self.metric = metric
        self.num_threads = num_threads
        self.display_progress = display_progress
        self.display_table = display_table
        self.max_errors = max_errors
        self.provide_traceback = provide_traceback
        self.failure_score = failure_score
        self.save_as_csv, self.save_as_json = save_as_csv, save_as_json
        self.timeout = timeout
        self.repeats = repeats
        self.keep = keep
        self.traces = traces
        self.stop_when, self.seed, self.executor = stop_when, seed, executor
        self.journal, self.retry_errors = journal, retry_errors
        check_options(timeout=timeout, repeats=repeats, keep=keep, stop_when=stop_when, failure_score=failure_score)
        self._check_outputs()

    def __call__(
        self,
        program: Program,
        metric: Metric | None = None,
        devset: DevsetLike = None,
        **options: Unpack[CallOptions],
    ) -> EvaluationResult:
        """Run the program on every example.

        Args:
            program: The module, or function.
            metric: That of this call; `None` for the evaluation's.
            devset: That of this call; `None` for the evaluation's.
            **options: Other options of this call: see `CallOptions`.
        """
        loop = self._begin(program, metric, devset, **options)
        if not loop.plan.run.needs_loop:
            return drive(loop.steps())
        try:
            return in_own_loop(lambda: adrive(loop.steps()))
        except KeyboardInterrupt as interrupt:
            if interrupt.__context__ is None:  # it came while a thread ran the loop
                loop.abandon(interrupt)
            interrupt.result = loop.so_far()  # type: ignore[attr-defined]  # as without a loop
            raise

    async def acall(
        self,
        program: Program,
        metric: Metric | None = None,
        devset: DevsetLike = None,
        **options: Unpack[CallOptions],
    ) -> EvaluationResult:
        """Run the program on every example, in tasks of the running event loop."""
        return await adrive(self._begin(program, metric, devset, **options).steps())

    def _begin(
        self,
        program: Program,
        metric: Metric | None,
        devset: DevsetLike,
        *,
        callback_metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Loop:
        # The machinery of a call, which an import of `Evaluate` need not load.
        from dspex_core.evaluation.devset import Devset
        from dspex_core.evaluation.loop import Loop, Plan
        from dspex_core.evaluation.outputs import Outputs
        from dspex_core.evaluation.run import CaseRun

        metric, devset = metric or self.metric, self.devset if devset is None else devset
        if metric is None:
            raise ConfigurationError("Evaluate needs a metric: metric(example, prediction, trace=None)")
        settings, own = current(), self._with(options)
        width, max_errors = own.num_threads or settings.num_threads, _first(own.max_errors, settings.max_errors)
        program, metric = adopted(program), adopted(metric)
        check_run(program=program, metric=metric, num_threads=width, max_errors=max_errors)
        plan = Plan(
            run=CaseRun(program, metric, own.failure_score, own.timeout, own.traces),
            devset=Devset(lazily(devset, remembers=False), program),
            width=width,
            max_errors=max_errors,
            repeats=own.repeats,
            keep=own.keep,
            stop_when=own.stop_when,
            seed=own.seed,
            journal=own.journal,
            retry_errors=own.retry_errors,
            display_progress=own.display_progress,
            provide_traceback=_first(own.provide_traceback, settings.provide_traceback),
            outputs=Outputs(own.save_as_csv, own.save_as_json, own.display_table),
            attributes={"instance": self, "inputs": _inputs(callback_metadata)},
            executor=own.executor or settings.executor,
        )
        return Loop(plan)

    def _with(self, options: Mapping[str, Any]) -> Self:
        """Return this evaluation with the options of a call.

        Raises:
            ConfigurationError: A call does not take one of them.
        """
        unknown = sorted(options.keys() - CallOptions.__annotations__)
        if unknown:
            known = ", ".join(CallOptions.__annotations__)
            raise ConfigurationError(f"a call of Evaluate does not take {', '.join(unknown)}; it takes {known}")
        clone = copy.copy(self)
        vars(clone).update({name: value for name, value in options.items() if value is not None})
        clone._check_outputs()  # noqa: SLF001  its own kind
        return clone

    def _check_outputs(self) -> None:
        files = {"save_as_csv": self.save_as_csv, "save_as_json": self.save_as_json, "journal": self.journal}
        check_outputs(display_table=self.display_table, **files)


def _inputs(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the inputs of a call as its events have them."""
    return {} if metadata is None else {"callback_metadata": metadata}


def _first(own: T | None, general: T) -> T:
    """Return an option of an evaluation where it has one, else the setting."""
    return general if own is None else own
