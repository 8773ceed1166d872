"""One call of a program in a worker. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.flow.steps import drive
from dspex_core.programs.base import running
from dspex_core.programs.remote.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from dspex_core.flow.steps import Flow


def call_in_worker(executor: Executor, program: Callable[..., Any], inputs: Mapping[str, Any]) -> Any:
    """Call a program, sync or async, on its inputs in a worker of an executor, and wait for what it returns.

    Raises what `Remote.piece` raises.
    """
    return drive(Remote(executor, _work, parts={"program": program}).piece(program, dict(inputs)))


def _work(program: Callable[..., Any], inputs: Mapping[str, Any]) -> Flow[Any]:
    return running(program, **inputs)
