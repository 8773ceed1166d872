"""The formats of reports that plugins add by their hook `pytest_dspex_report`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pytest_dspex.hookspecs.calling import answers, wrong_result

if TYPE_CHECKING:
    from collections.abc import Callable


class OwnFormat(NamedTuple):
    """A format, and the plugin whose function returns the content of the file."""

    plugin: str
    content: Callable[[dict[str, Any]], Any]

    def content_of(self, document: dict[str, Any]) -> str | bytes:
        """Return the content of the file.

        Raises:
            ConfigurationError: The plugin's function raised an error, or did not return a text or bytes.
        """
        from dspex_core import ConfigurationError  # imported only for such a report
        from dspex_core.plugin_api import error_text, value_text

        try:
            made = self.content(document)
        except Exception as error:  # the code is the plugin's
            message = f"the report of the plugin {self.plugin!r} raised {error_text(error)}"
            raise ConfigurationError(message) from error
        if not isinstance(made, str | bytes):
            raise ConfigurationError(
                f"the report of the plugin {self.plugin!r} is {value_text(made, 200)}; it must be a text or bytes"
            )
        return made


def own_formats(config: pytest.Config) -> dict[str, OwnFormat]:
    """Return the formats of all plugins, by name.

    Raises:
        pytest.UsageError: A plugin raised an error, or returned something else than functions by name.
    """
    from dspex_core import ConfigurationError  # as above

    hook = config.hook.pytest_dspex_report
    found: dict[str, OwnFormat] = {}
    try:
        for plugin, formats in answers(hook, config):
            if not _is_right(formats):
                raise wrong_result(hook, plugin, formats, needed='a dict of functions, such as {"csv": as_csv}')
            _refuse_doubles(found, formats, plugin)
            found.update({name: OwnFormat(plugin, content) for name, content in formats.items()})
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from error
    return found


def _refuse_doubles(found: Mapping[str, OwnFormat], formats: Mapping[str, Any], plugin: str) -> None:
    for name in formats:
        if name in found:
            raise pytest.UsageError(
                f"the plugins {found[name].plugin!r} and {plugin!r} both have a format {name!r} in their hook "
                "pytest_dspex_report; rename one of them"
            )


def _is_right(formats: object) -> bool:
    return isinstance(formats, Mapping) and all(
        isinstance(name, str) and name.isidentifier() and callable(content) for name, content in formats.items()
    )
