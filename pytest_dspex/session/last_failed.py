"""`--lf` after a failed gate: the cases on the wrong side of its bound. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


def remember(config: pytest.Config, nodeids: Iterable[str]) -> None:
    """Have the next `--lf` or `--ff` take these items for failed; pytest writes them at the end of the session."""
    plugin = config.pluginmanager.getplugin("lfplugin")  # `None` with `-p no:cacheprovider`
    if plugin is not None:
        plugin.lastfailed.update(dict.fromkeys(nodeids, True))
