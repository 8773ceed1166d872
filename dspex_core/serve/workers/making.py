"""Makes the program of a worker. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.programs.saving.loading import load
from dspex_core.serve.contract import contract_of
from dspex_core.serve.in_process import Limits, ProgramRunner

if TYPE_CHECKING:
    from dspex_core.programs.base import Module
    from dspex_core.serve.workers.setup import WorkerSetup


def runner_of(setup: WorkerSetup) -> ProgramRunner:
    """Return the program of a setup, ready for calls.

    Raises:
        ConfigurationError: The setup names no program, or one that cannot be served.
        ArtifactError: The file cannot be read, or no program can be made of it.
    """
    program = _program(setup)
    contract = contract_of(program, name=setup.name, signature=setup.signature)
    settings: dict[str, Any] = {}
    if setup.lm:
        from dspex_core.lm.client import (
            LM,
        )  # a third of a worker's imports, where the program has an LM of another kind

        settings["lm"] = LM(setup.lm, **setup.lm_options)
    return ProgramRunner(program, contract, Limits(**setup.limits), settings)


def _program(setup: WorkerSetup) -> Module:
    if (setup.program is None) == (setup.factory is None):
        raise ConfigurationError("a worker needs either the file of a program or a function that returns one")
    if setup.program is not None:
        return load(setup.program, allow_import=setup.allow_import)
    module, colon, name = str(setup.factory).partition(":")
    made = getattr(import_module(module), name, None) if colon else None
    if not callable(made):
        raise ConfigurationError(f"{setup.factory!r} does not name a function: write 'package.module:function'")
    program: Module = made()
    return program
