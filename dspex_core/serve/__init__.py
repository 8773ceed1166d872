"""Programs as services: over HTTP, and as tools of the Model Context Protocol (PYTEST_DONT_REWRITE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

    from dspex_core.programs.base import Module
    from dspex_core.serve.in_process import Limits
    from dspex_core.serve.interface import Backend

    Served = Module | Backend

__all__ = ["app", "serve"]


def app(*programs: Served, lm: Any = None, limits: Limits | None = None, **options: Any) -> FastAPI:
    """Return a FastAPI app that serves programs; run it with any ASGI server, or mount it in an app of yours.

    Args:
        *programs: Programs, which run in this process, or backends, such as what `in_process` returns or a
            `Supervisor`.
        lm: The model of the programs; by default that of the settings.
        limits: What one request may use.
        **options: The fields of `ServiceOptions`: `timeout`, `concurrency`, `max_body`, `drain`, `token`, `hosts`.

    Raises:
        ConfigurationError: A program cannot be served, or an option is not valid.
        ImportError: The extra `serve` is not installed.
    """
    from dspex_core.serve.made import service_of
    from dspex_core.serve.routes import app_of  # FastAPI: optional, and half a second

    return app_of(service_of(programs, lm=lm, limits=limits, options=options))


def serve(
    *programs: Served,
    host: str = "127.0.0.1",
    port: int = 8000,
    lm: Any = None,
    limits: Limits | None = None,
    **options: Any,
) -> None:
    """Serve programs over HTTP until SIGTERM or SIGINT; calls under way are answered then, new ones refused.

    Args:
        *programs: As for `app`.
        host: The address to listen on; another one than this machine's own needs a `token`.
        port: The port; 0 for any free one.
        lm: As for `app`.
        limits: As for `app`.
        **options: As for `app`.

    Raises:
        ConfigurationError: As for `app`; or the address is open to others and there is no token, or cannot be used.
        LMNotConfiguredError: A program needs a model, and has none.
        ImportError: The extra `serve` is not installed.
    """
    from dspex_core.serve.made import service_of  # as in `app`
    from dspex_core.serve.running import check_access, listening, run

    check_access(host, token=options.get("token"))
    run(service_of(programs, lm=lm, limits=limits, options=options, host=host), listening(host, port))
