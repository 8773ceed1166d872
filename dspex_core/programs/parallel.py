"""Parallel: many programs on many examples at the same time. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.example import Example
from dspex_core.plain.counts import whole_number
from dspex_core.plain.display import value_text
from dspex_core.programs.base import Module, running
from dspex_core.programs.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from dspex_core.flow.steps import Flow


class Parallel(Module):
    """Runs pairs of a program and its inputs, some at the same time: in threads, or awaited in tasks.

    Returns the results in the order of the pairs, `None` for one that failed; with
    `return_failed_examples`, `(results, failed_examples, exceptions)`. No pair is run twice.

    Args:
        num_threads: How many run at once; `settings.num_threads` by default.
        max_errors: How many may fail; `settings.max_errors` by default.
        access_examples: Whether a program is called with an `Example`'s inputs by name, or with
            the `Example` itself.
        return_failed_examples: Whether to return what failed, too.
        provide_traceback: Whether the log shows where a failure came from; `settings.provide_traceback` by default.
        disable_progress_bar: Whether to hide the progress bar, which is shown on a terminal only.
        timeout: After how many seconds a pair fails with `TimeoutError`. What a thread is doing
            then goes on until its step ends, and is dropped.
        straggler_limit: Has no effect; DSPy's code may give it.
        executor: Whose workers run the pairs: any `concurrent.futures.Executor`; `settings.executor` by default.
            `num_threads` is then how many are with workers at once.

    Raises on a call:
        ParallelError: More than `max_errors` failed, or the budget ran out; it holds what was done.
        ConfigurationError: An item is not a pair, or its inputs are neither an `Example`, a dict nor a tuple.
    """

    def __init__(  # noqa: PLR0913  DSPy's signature, and ours
        self,
        num_threads: int | None = None,
        max_errors: int | None = None,
        access_examples: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
        return_failed_examples: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
        provide_traceback: bool | None = None,  # noqa: FBT001  DSPy's signature
        disable_progress_bar: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
        timeout: float | None = None,
        straggler_limit: int | None = None,
        *,
        executor: Executor | None = None,
    ) -> None:
        self.num_threads = None if num_threads is None else whole_number("num_threads", num_threads)
        self.max_errors = max_errors
        self.access_examples = access_examples
        self.return_failed_examples = return_failed_examples
        self.provide_traceback = provide_traceback
        self.disable_progress_bar = disable_progress_bar
        self.timeout = timeout
        self.straggler_limit = straggler_limit
        self.executor = executor

    def flow(self, exec_pairs: Sequence[tuple[Callable[..., Any], Any]], num_threads: int | None = None) -> Flow[Any]:
        """Run each program on its inputs: an `Example`, a dict of them by name, or a tuple by position.

        A `Parallel` among the programs takes a list of pairs.
        """
        options = {name: value for name, value in vars(self).items() if name in _OPTIONS}
        batch = Batch(**{**options, "num_threads": num_threads or self.num_threads})
        pairs = _checked_pairs(exec_pairs)
        return (yield from batch.steps([(inputs, self._begin(program, inputs)) for program, inputs in pairs]))

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given, but for the executor, which files cannot hold."""
        stored = (_OPTIONS | {"access_examples"}) - {"executor"}
        return {name: value for name, value in vars(self).items() if name in stored}

    def _begin(self, program: Callable[..., Any], inputs: Any) -> partial[Flow[Any]]:
        if isinstance(inputs, Example) and self.access_examples:
            return partial(running, program, **inputs.inputs())
        if isinstance(inputs, Example) or (isinstance(inputs, list) and isinstance(program, Parallel)):
            return partial(running, program, inputs)
        if isinstance(inputs, dict):
            return partial(running, program, **inputs)
        if isinstance(inputs, tuple):
            return partial(running, program, *inputs)
        message = f"a program's inputs are an Example, a dict or a tuple, not {inputs!r} ({type(inputs).__name__})"
        raise ConfigurationError(message)


def _checked_pairs(pairs: Any) -> list[tuple[Callable[..., Any], Any]]:
    """Return the pairs.

    Raises:
        ConfigurationError: There is no list, or an item is not a program and its inputs.
    """
    if not isinstance(pairs, Iterable) or isinstance(pairs, str | bytes | Mapping):
        raise ConfigurationError(f"Parallel runs a list of pairs (program, inputs), not {value_text(pairs, 200)}")
    listed = list(pairs)
    for index, pair in enumerate(listed):
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not callable(pair[0]):  # noqa: PLR2004  a pair
            raise ConfigurationError(
                f"item {index} of Parallel must be a pair (program, inputs), not {value_text(pair, 200)}"
            )
    return listed


_OPTIONS = frozenset(Batch.__dataclass_fields__)
