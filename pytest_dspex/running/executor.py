"""The executor of a session: the workers of a cluster that the user has named. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

_SCHEME = "dask://"
_SECONDS = 10  # to reach the scheduler


class Cluster:
    """The connection to a Dask cluster, for the time of a session."""

    def __init__(self, address: str) -> None:
        from dspex_core import ConfigurationError  # only sessions that name a cluster need it
        from dspex_core.plugin_api import foreign_code

        with foreign_code():
            from distributed import Client  # heavy, and the options have looked whether it is installed
        place = address.removeprefix(_SCHEME)
        try:
            with foreign_code():
                client: Any = Client  # it has no type information
                self._client = client(f"tcp://{place}", timeout=_SECONDS, set_as_default=False)
        except OSError as error:
            message = f"--dspex-executor={address}: no scheduler answers there: {error}"
            raise ConfigurationError(message) from error
        self.executor: Executor = self._client.get_executor()

    def pytest_unconfigure(self) -> None:
        """Close the connection."""
        self._client.close()


_CLUSTER = pytest.StashKey[Cluster]()


def executor_of(config: pytest.Config) -> Executor | None:
    """Return the session's executor, connected at the first use; `None` if the session has none.

    Raises:
        ConfigurationError: No scheduler answers.
    """
    address = config.stash[OPTIONS].executor
    if not address:
        return None
    if _CLUSTER not in config.stash:
        config.stash[_CLUSTER] = Cluster(address)
        config.pluginmanager.register(config.stash[_CLUSTER], "dspex-cluster")
    return config.stash[_CLUSTER].executor


@dataclass(frozen=True)
class ForWorkers:
    """A function, sync or async, as workers call it; metrics read the fields of a returned dict as attributes."""

    program: Callable[..., Any]

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Return what the function returns."""
        from dspex_core import Prediction  # only the worker needs it

        made = self.program(*args, **inputs)
        if inspect.isawaitable(made):
            made = asyncio.run(_awaited(made))
        return Prediction(made) if isinstance(made, dict) and all(isinstance(name, str) for name in made) else made


async def _awaited(value: Any) -> Any:
    return await value
