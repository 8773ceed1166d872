"""The LMs of the fixtures `lm` and `judge_lm`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex_core import LM, BaseLM, ConfigurationError
from pytest_dspex.hookspecs.calling import answers, wrong_result
from pytest_dspex.options import OPTIONS
from pytest_dspex.session.live import needed_later, refuse

if TYPE_CHECKING:
    import pytest


def session_lm(config: pytest.Config) -> BaseLM:
    """Return the LM that a plugin provides, or else that of the ini key `dspex_lm`; a test connects it."""
    try:
        lm = _provided(config) or _named(config.stash[OPTIONS].lm)
    except ConfigurationError as error:
        refuse(config, error)
    if isinstance(lm, LM) and config.stash[OPTIONS].asks:
        needed_later(config, lm)
    return lm


def judge_lm_of(config: pytest.Config) -> BaseLM | None:
    """Return the LM of the ini key `dspex_judge_lm`; without the key, `None`. A test that has a judge connects it."""
    model = config.stash[OPTIONS].judge_lm
    if not model:
        return None
    judge = _named(model)
    if config.stash[OPTIONS].asks:
        needed_later(config, judge, fixture="judge_lm")
    return judge


def _named(model: str) -> LM:
    if not model.strip():
        message = f"the ini key dspex_lm is {model!r}; name a model, such as openai/gpt-4o-mini, or remove the line"
        raise ConfigurationError(message)
    return LM(model, temperature=0.0)


def _provided(config: pytest.Config) -> BaseLM | None:
    hook = config.hook.pytest_dspex_lm
    for plugin, lm in answers(hook, config):
        if not isinstance(lm, BaseLM):
            raise wrong_result(hook, plugin, lm, needed='an LM, such as LM("openai/gpt-4o-mini")')
        return lm
    return None
