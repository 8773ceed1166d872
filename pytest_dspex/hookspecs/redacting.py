"""The texts of a session without what its plugins remove from them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.hookspecs.calling import each_plugin, wrong_result
from pytest_dspex.keys import PROBLEMS_OUTPUT
from pytest_dspex.options import OPTIONS, is_worker

if TYPE_CHECKING:
    from collections.abc import Callable

_HIDDEN = "[secret]"  # `dspex_core`'s, which is not imported for it
_UNSHOWN = "<not shown, as the hook pytest_dspex_redact failed>"
_STRUCTURE = frozenset({"lineno", "location", "path", "style", "type"})  # of pytest's representations of failures


def redactor(config: pytest.Config) -> Callable[[str], str] | None:
    """Return a function that removes from a text what plugins and the ini key `dspex_redact` do; `None` without any."""
    patterns = config.stash[OPTIONS].redact
    if not (patterns or config.hook.pytest_dspex_redact.get_hookimpls()):
        return None

    def redact(text: str) -> str:
        for pattern in patterns:
            text = pattern.sub(_HIDDEN, text)
        return _redacted(text, config) if text else text

    return redact


def redacted(data: Any, redact: Callable[[str], str]) -> Any:
    """Return JSON data with each of its texts redacted, but for names in dictionaries."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, dict):
        return {name: each if name in _STRUCTURE else redacted(each, redact) for name, each in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(redacted(each, redact) for each in data)
    return data


def _redacted(text: str, config: pytest.Config) -> str:
    """Return a text after all plugins; if one fails, the session ends and the text is not shown."""
    from dspex_core import ConfigurationError  # imported only in sessions with such a plugin

    hook = config.hook.pytest_dspex_redact
    try:
        for plugin in each_plugin(hook, config):
            changed = plugin.call(text=text, config=config)
            if changed is not None and not isinstance(changed, str):
                raise wrong_result(hook, plugin.name, changed, needed="a text")
            text = text if changed is None else changed
    except ConfigurationError as error:
        if not is_worker(config):
            pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        problems = config.workeroutput.setdefault(PROBLEMS_OUTPUT, [])  # type: ignore[attr-defined]  # xdist's
        if str(error) not in problems:
            problems.append(str(error))
        return _UNSHOWN
    return text
