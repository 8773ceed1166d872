"""Makes services of programs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.plain.secrets import SecretText
from dspex_core.serve.guard import is_loopback
from dspex_core.serve.in_process import Limits, in_process
from dspex_core.serve.interface import Backend
from dspex_core.serve.service import Service, ServiceOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dspex_core.programs.base import Module


def service_of(
    programs: Iterable[Module | Backend],
    *,
    lm: Any = None,
    limits: Limits | None = None,
    options: Mapping[str, Any],
    host: str | None = None,
) -> Service:
    """Return a service of programs and backends; see `dspex_core.serve.app`.

    Args:
        programs: Programs, which run in this process, or backends.
        lm: The model of the programs.
        limits: What one request may use.
        options: The fields of `ServiceOptions`.
        host: The address that it will listen on, if that is known.

    Raises:
        ConfigurationError: A program cannot be served, or an option is not valid.
    """
    known = {each.name for each in fields(ServiceOptions)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ConfigurationError(
            f"a service has no {', '.join(map(repr, unknown))}; it takes: {', '.join(sorted(known))}"
        )
    settings = {} if lm is None else {"lm": lm}
    backends = [
        program if isinstance(program, Backend) else in_process(program, limits=limits, **settings)
        for program in programs
    ]
    token, hosts = options.get("token"), options.get("hosts")
    if hosts is None and host is not None and not is_loopback(host):
        hosts = ("*",)  # the token keeps web pages out
    chosen = {
        **options,
        "hosts": tuple(hosts) if isinstance(hosts, list | set | frozenset) else hosts,
        "token": SecretText(token) if isinstance(token, str) else token,
    }
    return Service(backends, ServiceOptions(**chosen))
