"""DSPy's classes that are missing here: they can be imported, and raise when they are made. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from dspex_core.errors import ConfigurationError

__all__ = [
    "GRPO",
    "Avatar",
    "AvatarOptimizer",
    "Flex",
    "GroundedProposer",
]


class _LeftOut:
    """A class of DSPy that cannot be made here; `instead` says what to do."""

    instead: ClassVar[str]

    def __new__(cls, *_: Any, **__: Any) -> NoReturn:
        raise ConfigurationError(
            f"{cls.__name__} of DSPy is left out here; {cls.instead}. "
            "docs/migrating-from-dspy.md lists everything that is missing"
        )


class Avatar(_LeftOut):
    """An agent."""

    instead = "ReAct and ReActV2 are agents with tools"


class AvatarOptimizer(_LeftOut):
    """An optimizer of tool use."""

    instead = "GEPA and SIMBA improve programs with tools"


class Flex(_LeftOut):
    """A module whose code is generated."""

    instead = "write a module with `forward`"


class GRPO(_LeftOut):
    """An optimizer that trains weights by rewards."""

    instead = "GEPA improves instructions by rewards, BootstrapFinetune trains weights on accepted answers"


class GroundedProposer(_LeftOut):
    """Writes instructions for MIPROv2."""

    instead = "MIPROv2 writes instructions itself; GEPA(instruction_proposer=...) takes a function of yours"
