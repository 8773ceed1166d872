"""`python -m dspex_core.serve`: serves a saved program from the command line. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import warnings
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

from dspex_core.errors import ConfigurationError, DSPexError, StaleArtifactWarning
from dspex_core.plain.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.serve.interface import Backend, ServedProgram
    from dspex_core.serve.service import Service

_USAGE_ERROR = 2
_DESCRIPTION = """Serve a program over HTTP: POST its inputs as JSON to /programs/NAME."""
_EPILOG = """Nothing that a file names is imported unless --allow-import is given; what --program names is imported.
A service without a token serves this machine alone. See docs/production.md."""


def main(arguments: Sequence[str], *, stderr: TextIO | None = None) -> int:
    """Serve what the arguments name; return the exit status."""
    out = sys.stderr if stderr is None else stderr
    given = parser().parse_args(arguments)
    _log_to(out, form=given.log)
    try:
        _check_installed(given)
        with warnings.catch_warnings():
            warnings.showwarning = partial(_show_warning, out)
            _serve_stdio(given) if given.mcp else _serve(given, out)
    except (DSPexError, ImportError) as error:
        out.write(f"dspex: {masked(str(error))}\n")
        return _USAGE_ERROR
    return 0


def _check_installed(given: argparse.Namespace) -> None:
    """Name all extras that are missing at once, and not the first one alone."""
    needed = {
        "serve": ("prometheus_client", *(() if given.mcp else ("fastapi", "uvicorn"))),
        "mcp": ("mcp",) if given.mcp or given.mcp_http else (),
    }
    missing = [extra for extra, modules in needed.items() if any(find_spec(module) is None for module in modules)]
    if missing:
        raise ImportError(f'serving needs libraries that are missing: pip install "pytest-dspex[{",".join(missing)}]"')


def _serve(given: argparse.Namespace, out: TextIO) -> None:
    from dspex_core.serve.running import check_access, listening, run, url_of  # FastAPI: not for --help

    token = _token(given.token_env)
    check_access(given.host, token=token)
    service = _service(given, token)
    listener = listening(given.host, given.port)
    names = ", ".join(f"/programs/{backend.program.name}" for backend in service)
    run(
        service,
        listener,
        lambda: _say(out, f"dspex: serving {names} at {url_of(listener)} (SIGTERM or Ctrl+C ends it)"),
    )
    _say(out, "dspex: ended")


def _serve_stdio(given: argparse.Namespace) -> None:
    """Serve one client of MCP; whatever is imported from here on may print, and does not disturb it."""
    import asyncio  # as in `_serve`

    from dspex_core.serve.mcp import own_stdio, serve_stdio

    with own_stdio() as descriptors:
        asyncio.run(serve_stdio(_service(given, None), descriptors))


def _service(given: argparse.Namespace, token: str | None) -> Service:
    from dspex_core.serve.made import service_of  # as in `_serve`

    options = {
        "timeout": given.timeout,
        "concurrency": given.concurrency,
        "max_body": given.max_body,
        "drain": given.drain,
        "token": token,
        "hosts": tuple(given.allow_host) or None,
        "mcp": given.mcp_http,
    }
    return service_of([_backend(given)], options=options, host=given.host)


def _backend(given: argparse.Namespace) -> Backend:
    from dspex_core.config import context
    from dspex_core.lm.client import LM  # as in `_serve`, with all of the library
    from dspex_core.serve.contract import describe
    from dspex_core.serve.in_process import Limits, in_process
    from dspex_core.serve.loading import load_program
    from dspex_core.serve.models import check_model

    if given.workers < 0:
        raise ConfigurationError(f"--workers must be 0 (in this process) or more, not {given.workers}")
    program = load_program(given.artifact, factory=given.program, allow_import=given.allow_import, strict=given.strict)
    limits = Limits(calls=given.budget_calls, tokens=given.budget_tokens, usd=given.budget_usd)
    options = _lm_options(given.lm_options)
    settings = {"lm": LM(given.lm, **options)} if given.lm else {}
    if not given.workers:
        return in_process(program, name=given.name, signature=given.signature, limits=limits, **settings)
    served = describe(program, name=given.name, signature=given.signature)
    with context(**settings):  # as each worker does, whose error would be one of a start that failed
        check_model(program, name=served.name)
    return _supervisor(given, served, options)


def _supervisor(given: argparse.Namespace, program: ServedProgram, lm_options: dict[str, Any]) -> Backend:
    from dspex_core.serve.workers.options import WorkerOptions  # as in `_serve`
    from dspex_core.serve.workers.setup import WorkerSetup
    from dspex_core.serve.workers.supervisor import Supervisor

    setup = WorkerSetup(
        program=given.artifact,
        factory=given.program,
        allow_import=given.allow_import,
        strict=given.strict,
        name=given.name,
        signature=given.signature,
        lm=given.lm,
        lm_options=lm_options,
        limits={"calls": given.budget_calls, "tokens": given.budget_tokens, "usd": given.budget_usd},
    )
    at_once = -(-given.concurrency // given.workers)
    memory = None if given.worker_memory is None else given.worker_memory * 2**20
    return Supervisor(program, setup, WorkerOptions(workers=given.workers, calls_at_once=at_once, memory=memory))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m dspex_core.serve", description=_DESCRIPTION, epilog=_EPILOG)
    made.add_argument("artifact", nargs="?", help="the file or folder that save() has written")
    _add_program(made)
    _add_limits(made)
    _add_access(made)
    return made


def _add_program(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--program",
        metavar="MODULE:NAME",
        help="a program, or a function or class that returns one; the file holds its state then",
    )
    made.add_argument(
        "--allow-import",
        action="store_true",
        help="import the modules that the file names, and call what it names: only for files that you trust",
    )
    made.add_argument("--strict", action="store_true", help="refuse a file of another source than the program has now")
    made.add_argument("--name", help="the program's name in URLs")
    made.add_argument(
        "--signature", help="what it takes and returns, where type hints do not say so: 'question -> answer: int'"
    )
    made.add_argument("--lm", metavar="PROVIDER/MODEL", help="the model of all calls; keys come from the environment")
    made.add_argument(
        "--lm-options", metavar="JSON", default="{}", help="its arguments, such as '{\"temperature\": 0}'"
    )
    made.add_argument(
        "--mcp", action="store_true", help="no HTTP: serve one client of MCP as a tool, over stdin and stdout"
    )
    made.add_argument("--mcp-http", action="store_true", help="serve clients of MCP at /mcp, beside HTTP")


def _add_limits(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--workers",
        type=int,
        default=1,
        help="supervised processes for it; 0 runs it in this one (default: 1)",
    )
    made.add_argument("--worker-memory", type=int, metavar="MIB", help="memory at which a worker is replaced")
    made.add_argument("--timeout", type=float, default=60.0, help="seconds for one call (default: 60)")
    made.add_argument("--concurrency", type=int, default=64, help="calls at once; others get 503 (default: 64)")
    made.add_argument("--max-body", type=int, default=1_000_000, help="bytes of a request (default: 1000000)")
    made.add_argument("--drain", type=float, default=30.0, help="seconds that the end waits for calls (default: 30)")
    made.add_argument("--budget-calls", type=int, help="calls of models in one request")
    made.add_argument("--budget-tokens", type=int, help="tokens in one request")
    made.add_argument("--budget-usd", type=float, help="dollars in one request")


def _add_access(made: argparse.ArgumentParser) -> None:
    made.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    made.add_argument("--port", type=int, default=8000, help="the port; 0 for a free one (default: 8000)")
    made.add_argument("--token-env", metavar="VARIABLE", help="the environment variable that holds the callers' token")
    made.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which callers reach it, as behind a reverse proxy on this machine; may be repeated",
    )
    made.add_argument("--log", choices=("text", "json", "none"), default="text", help="the form of the log on stderr")


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    found = os.environ.get(variable, "").strip()
    if not found:
        raise ConfigurationError(f"--token-env names {variable!r}, which is not set, or empty")
    return found


def _lm_options(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"--lm-options is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"--lm-options must be a JSON object, not {text!r}")
    return found


def _say(out: TextIO, line: str) -> None:
    out.write(f"{line}\n")
    out.flush()


def _show_warning(out: TextIO, message: Warning | str, *_: Any, **__: Any) -> None:
    _say(out, f"dspex: {message}" if isinstance(message, StaleArtifactWarning) else f"warning: {message}")


def _log_to(out: TextIO, *, form: str) -> None:
    logger = logging.getLogger("dspex")
    if form == "none" or logger.handlers:
        return
    handler = logging.StreamHandler(out)
    handler.setFormatter(_AsJSON() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logging.getLogger("dspex.serve").setLevel(logging.INFO)


class _AsJSON(logging.Formatter):
    """Writes each record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        known = vars(record).get("dspex")
        body = known if isinstance(known, dict) else {"message": record.getMessage()}
        return json.dumps({"time": self.formatTime(record), "level": record.levelname, "logger": record.name, **body})
