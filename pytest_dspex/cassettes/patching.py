"""When the HTTP recorder's patches are put in place: each when its library is imported. PYTEST_DONT_REWRITE

A library that is imported already is patched at once; a finder on `sys.meta_path` waits for the others, also inside of
a test. The recorder itself is imported at the first request, so the patches cost other sessions next to nothing.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from pytest_dspex.cassettes.http_door import HTTPDoor
    from pytest_dspex.cassettes.lm_hosts import LMHosts

# Of each module: the class and its function, and the module here whose function of that name stands before it.
_HTTPX = (
    ("HTTPTransport", "handle_request", "http_clients:before_httpx"),
    ("AsyncHTTPTransport", "handle_async_request", "http_clients:before_async_httpx"),
)
_PLACES = {
    "aiohttp.client": (("ClientSession", "_request", "http_clients:before_aiohttp"),),
    "dspy.clients.cache": (("Cache", "get", "http_clients:before_dspy_cache"),),
    "http.client": (("HTTPConnection", "putrequest", "http_tape:before_http_client"),),
    "httpx._transports.default": _HTTPX,
    "httpx2._transports.default": _HTTPX,
    "socket": (("", "getaddrinfo", "http_clients:before_getaddrinfo"),),
    "urllib3.connectionpool": (("HTTPConnectionPool", "urlopen", "http_clients:before_urllib3"),),
}


class ClientPatches(MetaPathFinder):
    """The patches of this process."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = hosts
        self._door: HTTPDoor | None = None
        self._originals: list[tuple[Any, str, Any]] = []
        self._searching: set[str] = set()

    def use(self, hosts: Sequence[str]) -> Sequence[str]:
        """Take the entries of the ini key `dspex_lm_hosts`, and return those before."""
        before, self._hosts = self._hosts, hosts
        if self._door is not None:
            self._door.hosts = _parsed(hosts)
        return before

    def install(self) -> None:
        """Patch what is imported, and wait for the rest."""
        sys.meta_path.insert(0, self)
        for name in _PLACES:
            if name in sys.modules:
                self.patch(sys.modules[name])

    def remove(self) -> None:
        """Undo all patches."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for owner, name, original in reversed(self._originals):
            setattr(owner, name, original)
        self._originals.clear()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the spec of a library's module with a loader that patches it; `None` for all other modules."""
        if fullname == "litellm":
            from dspex_core.plugin_api import keep_prices_local  # only where LiteLLM is imported anyway

            keep_prices_local()
        if fullname not in _PLACES or fullname in self._searching:
            return None
        self._searching.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader, self)
        return spec

    def patch(self, module: ModuleType) -> None:
        """Put the recorder before the functions of a module."""
        outer = sys.modules[module.__name__.partition(".")[0]]
        for owner_name, name, wrapper in _PLACES[module.__name__]:
            owner = getattr(module, owner_name, None) if owner_name else module
            original = getattr(owner, name, None)
            if original is None:  # another version of the library: connections to known LMs are still refused
                continue
            self._originals.append((owner, name, original))
            setattr(owner, name, self._before(wrapper, original, outer))

    def _before(self, place: str, original: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
        """Return a function that stands before a library's; the first call imports what it does."""
        name, _, function = place.partition(":")
        made: list[Callable[..., Any]] = []

        @functools.wraps(original)
        def call(*args: Any, **options: Any) -> Any:
            if not made:
                imported = importlib.import_module(f"pytest_dspex.cassettes.{name}")
                made.append(getattr(imported, function)(self._opened(), original, module))
            return made[0](*args, **options)

        return call

    def _opened(self) -> HTTPDoor:
        """Return what decides for each request whether it passes; all patches share it."""
        from pytest_dspex.cassettes.http_door import HTTPDoor  # as in _before

        if self._door is None:
            self._door = HTTPDoor(_parsed(self._hosts))
        return self._door


def _parsed(hosts: Sequence[str]) -> LMHosts:
    from pytest_dspex.cassettes.lm_hosts import hosts_of  # as in _before

    return hosts_of(hosts)


class _PatchingLoader(Loader):
    """Loads a module as its own loader does, then patches it."""

    def __init__(self, loader: Loader, patches: ClientPatches) -> None:
        self._loader = loader
        self._patches = patches

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._patches.patch(module)


def install(hosts: Sequence[str]) -> Callable[[], object]:
    """Have the HTTP recorder stand before all client libraries of the process; the returned function undoes it.

    A session within another one's test finds the patches in place, and changes only the hosts.
    """
    found = next((finder for finder in sys.meta_path if isinstance(finder, ClientPatches)), None)
    if found is not None:
        before = found.use(hosts)
        return functools.partial(found.use, before)
    patches = ClientPatches(hosts)
    patches.install()
    return patches.remove
