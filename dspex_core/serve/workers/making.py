"""Makes the program of a worker. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.serve.contract import contract_of
from dspex_core.serve.in_process import Limits, ProgramRunner
from dspex_core.serve.loading import load_program
from dspex_core.serve.workers.kept import content_of

if TYPE_CHECKING:
    from dspex_core.serve.workers.setup import WorkerSetup


def runner_of(setup: WorkerSetup) -> ProgramRunner:
    """Return the program of a setup, ready for calls.

    Raises:
        ConfigurationError: The setup names no program, or one that cannot be served.
        ArtifactError: The file cannot be read, or no program can be made of it.
    """
    with content_of(setup) as path:
        program = load_program(path, factory=setup.factory, allow_import=setup.allow_import, strict=setup.strict)
    contract = contract_of(program, name=setup.name, signature=setup.signature)
    settings: dict[str, Any] = {}
    if setup.lm:
        from dspex_core.lm.client import LM  # a third of a worker's imports, and the program may have its own

        settings["lm"] = LM(setup.lm, **setup.lm_options)
    return ProgramRunner(program, contract, Limits(**setup.limits), settings)
