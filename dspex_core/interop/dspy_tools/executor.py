"""A function on many items at once, with DSPy's names. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.errors import ParallelError
from dspex_core.flow.steps import drive
from dspex_core.programs.base import running
from dspex_core.programs.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ParallelExecutor:
    """Runs a function on many items, some at the same time, under the settings of the caller.

    Args:
        num_threads: How many run at once; `settings.num_threads` by default.
        max_errors: How many errors end the run; `settings.max_errors` by default.
        disable_progress_bar: Whether to hide the progress bar, which is shown on a terminal only.
        provide_traceback: Whether the log shows where an error came from; `settings.provide_traceback` by default.
        compare_results: No effect: the bar shows how many are done.
        timeout: After how many seconds an item fails with `TimeoutError`; 0 and None are no limit.
        straggler_limit: No effect: nothing is run twice.

    After `execute`, `failed_indices` are the items that failed, and `exceptions_map` their errors.
    """

    def __init__(
        self,
        num_threads: int | None = None,
        max_errors: int | None = None,
        disable_progress_bar: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
        provide_traceback: bool | None = None,  # noqa: FBT001  DSPy's signature
        compare_results: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
        timeout: float | None = None,
        straggler_limit: int = 3,
    ) -> None:
        settings = current()
        self.num_threads = num_threads or settings.num_threads
        self.max_errors = settings.max_errors if max_errors is None else max_errors
        self.disable_progress_bar = disable_progress_bar
        self.provide_traceback = settings.provide_traceback if provide_traceback is None else provide_traceback
        self.compare_results = compare_results
        self.timeout = timeout
        self.straggler_limit = straggler_limit
        self.failed_indices: list[int] = []
        self.exceptions_map: dict[int, Exception] = {}

    @property
    def error_count(self) -> int:
        """How many items failed."""
        return len(self.failed_indices)

    def execute(self, function: Callable[[Any], Any], data: Sequence[Any]) -> list[Any]:
        """Return the function's result for each item, None for one that failed.

        Raises:
            ParallelError: `max_errors` items failed; it holds what was done.
        """
        batch = Batch(
            num_threads=self.num_threads,
            max_errors=max(self.max_errors - 1, 0),  # one of ours is how many may fail
            return_failed_examples=True,
            provide_traceback=self.provide_traceback,
            disable_progress_bar=self.disable_progress_bar,
            timeout=self.timeout or None,
        )
        work = [(index, partial(running, function, item)) for index, item in enumerate(data)]
        try:
            results, failed, errors = drive(batch.steps(work))
        except ParallelError as error:
            self._note(error.exceptions)
            raise
        self._note(dict(zip(failed, errors, strict=True)))
        return list(results)

    def _note(self, errors: dict[int, Exception]) -> None:
        self.failed_indices = list(errors)
        self.exceptions_map = dict(errors)
