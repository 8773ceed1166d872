"""Datasets and metrics that other plugins and conftests provide. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import ConfigurationError
from pytest_dspex.hookspecs.calling import answers, wrong_result

if TYPE_CHECKING:
    from collections.abc import Callable

# Of the session's config: the rows of each dataset, by the folder of the test that names it and its name.
_LOADED = pytest.StashKey[dict[tuple[Path, str | Path], Any]]()


def dataset(source: Any, node: pytest.Item, folder: Path | None = None) -> Any:
    """Return the rows that a plugin has for a dataset of a test, or else the dataset itself.

    Args:
        source: The dataset.
        node: The test, or one that uses the program whose dataset it is.
        folder: The folder of the file that names the dataset; by default that of the test.

    Raises:
        ConfigurationError: A plugin raised an error, or returned something that has no rows.
    """
    folder = folder or node.path.parent
    if not isinstance(source, str | Path):
        return _loaded(source, node, folder)
    loaded = node.config.stash.setdefault(_LOADED, {})
    if (folder, source) not in loaded:
        loaded[folder, source] = _loaded(source, node, folder)
    return loaded[folder, source]


def metric(given: Any, node: pytest.Item, where: str) -> Any:
    """Return the metric of a name that a test gives; a metric itself stays as it is.

    Raises:
        ConfigurationError: No plugin has a metric of this name, or a plugin is at fault.
    """
    if not isinstance(given, str):
        return given
    named = _metrics(node)
    if given in named:
        return named[given]
    known = ", ".join(map(repr, sorted(named))) or "none, as no plugin or conftest implements pytest_dspex_metrics"
    raise ConfigurationError(f"{where} names the metric {given!r}, which is not known; there are: {known}")


def _loaded(source: Any, node: pytest.Item, folder: Path) -> Any:
    from dspex_core import load_dataset  # imported only for tests that have a dataset

    hooks: Any = node.session.gethookproxy(folder)  # those of the conftests above the folder
    hook = hooks.pytest_dspex_load_dataset
    for plugin, rows in answers(hook, node.config, source=source, folder=folder):
        if isinstance(rows, str | Path):
            return folder / rows
        if not isinstance(rows, Iterable):
            raise wrong_result(hook, plugin, rows, needed="rows or the path of a file")
        try:
            kept = list(rows) if isinstance(rows, Iterator) else rows
            load_dataset(kept)
        except Exception as error:  # rows may be made while they are read
            raise ConfigurationError(
                f"the hook {hook.name} of the plugin {plugin!r} returned rows for {source!r} that cannot be read: "
                f"{error}"
            ) from error
        return kept
    return source


def _metrics(node: pytest.Item) -> dict[str, Callable[..., Any]]:
    hook = node.ihook.pytest_dspex_metrics
    found: dict[str, Callable[..., Any]] = {}
    owners: dict[str, str] = {}
    for plugin, metrics in answers(hook, node.config):
        if not isinstance(metrics, Mapping) or not all(
            isinstance(name, str) and callable(each) for name, each in metrics.items()
        ):
            raise wrong_result(hook, plugin, metrics, needed='a dict of metrics by name, such as {"polite": judge}')
        for name, each in metrics.items():
            if name in found:
                raise ConfigurationError(
                    f"the plugins {owners[name]!r} and {plugin!r} both have a metric {name!r}; "
                    f"rename one of them in its hook {hook.name}"
                )
            found[name], owners[name] = each, plugin
    return found
