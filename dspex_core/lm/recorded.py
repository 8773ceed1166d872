"""Calls that a cassette stands before: of LMs, and of models that embed texts. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex_core.config import context
from dspex_core.config.contracts import FailureRecorder
from dspex_core.errors import LMError
from dspex_core.lm.cut_off import warn_if_cut_off
from dspex_core.lm.refused import refusal_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dspex_core.config import Settings
    from dspex_core.config.contracts import Recorder
    from dspex_core.flow.steps import Flow
    from dspex_core.messages import LMRequest, LMResponse


def recorder_of(settings: Settings, model: str) -> Recorder | None:
    """Return the cassette that stands before the next call of a model, if one does.

    Raises:
        LiveCallRefusedError: There is none, and the settings allow no live call.
    """
    if settings.recorder is None and (settings.replay_only or settings.recorded_only):
        raise refusal_of(model)
    return settings.recorder


def past_recorder() -> AbstractContextManager[Settings]:
    """Return the context of the parts of a recorded call, such as HTTP requests, which are not recorded again."""
    return context(recorder=None, recorded_only=False)


def through(recorder: Recorder, model: str, request: LMRequest, live: Flow[LMResponse]) -> Flow[LMResponse]:
    """Answer from the cassette, else live, and record the answer or the failure."""
    response = recorder.replay(model, request)
    if response is not None:
        live.close()
        warn_if_cut_off(model, request.config, response)
        return response
    try:
        with past_recorder():
            response = yield from live
    except LMError as error:
        if isinstance(recorder, FailureRecorder):
            recorder.fail(model, request, error)
        raise
    recorder.record(model, request, response)
    return response
