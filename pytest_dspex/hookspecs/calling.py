"""Calls our hooks one plugin after the other, so that a message can name the plugin at fault. PYTEST_DONT_REWRITE

A hook that nobody implements costs the look at an empty list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pluggy

    from dspex_core import ConfigurationError


class OnePlugin(NamedTuple):
    """One plugin's implementation of a hook, with the wrappers around it."""

    name: str
    hook: pluggy.HookCaller

    def call(self, **arguments: Any) -> Any:
        """Return what the plugin returns; `None` for nothing.

        Raises:
            ConfigurationError: The implementation raised an error.
        """
        try:
            returned = self.hook(**arguments)
        except pytest.UsageError:
            raise
        except Exception as error:  # the code is another plugin's
            raise _raised(self.hook, self.name, error) from error
        if self.hook.spec is not None and self.hook.spec.opts.get("firstresult"):
            return returned
        if not isinstance(returned, list):
            raise wrong_result(self.hook, self.name, returned, needed="a list of results, if it is a wrapper")
        return returned[0] if returned else None


def each_plugin(hook: pluggy.HookCaller, config: pytest.Config) -> Iterator[OnePlugin]:
    """Yield the plugins that implement a hook, in the order in which pluggy calls them: the nearest conftest first.

    `hook` may be a node's, such as `node.ihook.pytest_dspex_metrics`, which leaves out the conftests of other folders.
    """
    implementations = hook.get_hookimpls()
    if not implementations:
        return
    every = [each.plugin for each in config.pluginmanager.subset_hook_caller(hook.name, ()).get_hookimpls()]
    wrappers = [each.plugin for each in implementations if each.wrapper or each.hookwrapper]
    for each in reversed(implementations):
        if each.plugin not in wrappers:
            others = [plugin for plugin in every if plugin not in [each.plugin, *wrappers]]
            yield OnePlugin(str(each.plugin_name), config.pluginmanager.subset_hook_caller(hook.name, others))


def answers(hook: pluggy.HookCaller, config: pytest.Config, **arguments: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name of each plugin that implements a hook and what it returns, unless that is `None`.

    The hook is given `config`, too.

    Raises:
        ConfigurationError: An implementation raised an error.
    """
    for plugin in each_plugin(hook, config):
        returned = plugin.call(config=config, **arguments)
        if returned is not None:
            yield plugin.name, returned


def wrong_result(hook: pluggy.HookCaller, plugin: str, value: object, *, needed: str) -> ConfigurationError:
    """Return the error for a result that a hook cannot have."""
    from dspex_core import ConfigurationError  # imported only for errors
    from dspex_core.plugin_api import value_text  # as above

    return ConfigurationError(
        f"{_place(hook, plugin)} returned {value_text(value, 200)}; it must return {needed}, or None"
    )


def _raised(hook: pluggy.HookCaller, plugin: str, error: Exception) -> ConfigurationError:
    from dspex_core import ConfigurationError  # as above
    from dspex_core.plugin_api import error_text

    return ConfigurationError(f"{_place(hook, plugin)} raised {error_text(error)}")


def _place(hook: pluggy.HookCaller, plugin: str) -> str:
    return f"the hook {hook.name} of the plugin {plugin!r}"
