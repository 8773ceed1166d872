"""Properties whose LM calls can be recorded: the same inputs in each run. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis
from hypothesis import HealthCheck

from dspex_core import ConfigurationError, context, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core import LMRequest, LMResponse
    from dspex_core.plugin_api import Event

Test = TypeVar("Test", bound="Callable[..., Any]")


def reproducible(*, max_examples: int = 20) -> Callable[[Test], Test]:
    """Return a decorator for `@given` tests that call an LM; write it above `@given`.

    Hypothesis then draws the same inputs in each run, as long as the test's code stays the same, so that their LM calls
    can be recorded and replayed. It sets no deadline, allows fixtures of pytest, and keeps no database of examples. A
    failure shows the prompt and the reply of the smallest failing input.

    Args:
        max_examples: The number of inputs to try. Each may cost a call.
    """

    def decorate(test: Test) -> Test:
        handle = getattr(test, "hypothesis", None)  # hypothesis's own mark of a test with `@given`
        if handle is None:
            raise ConfigurationError(
                f"@reproducible has no test with @given below it, but {test!r}; write it above @given"
            )
        handle.inner_test = _showing_prompts(handle.inner_test)
        rules = hypothesis.settings(
            max_examples=max_examples,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=[
                HealthCheck.function_scoped_fixture,
                HealthCheck.too_slow,
                HealthCheck.differing_executors,
            ],
        )
        return rules(test)

    return decorate


def _showing_prompts(test: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with context(listeners=[*settings.listeners, _note]):
                return await test(*args, **kwargs)

        return run_async

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with context(listeners=[*settings.listeners, _note]):
            return test(*args, **kwargs)

    return run


def _note(event: Event) -> None:
    """Note an LM call for Hypothesis, which shows the notes of the smallest failing input alone."""
    if event.name == "dspex.lm.stop" and hypothesis.currently_in_test_context():
        hypothesis.note(_shown(event.attributes["request"], event.attributes["result"]))


def _shown(request: LMRequest, response: LMResponse) -> str:
    lines = [f"[{message.role}] {message.text}" for message in request.messages]
    return "\n".join(["prompt:", *lines, "reply:", *(output.text for output in response.outputs)])
