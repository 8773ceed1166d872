"""What DSPy has and this does not: importable, so that a file which only imports it runs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from dspex_core.errors import ConfigurationError

__all__ = [
    "AvatarOptimizer",
    "Flex",
    "Provider",
    "TrainingJob",
]


class _NotThereYet:
    """A class of DSPy that cannot be made here; `instead` says what to do."""

    instead: ClassVar[str] = "MIPROv2 and SIMBA improve programs with tools"

    def __new__(cls, *_: Any, **__: Any) -> NoReturn:
        raise ConfigurationError(
            f"{cls.__name__} of DSPy is not there yet; {cls.instead}. "
            "docs/migrating-from-dspy.md lists everything that is missing"
        )


class AvatarOptimizer(_NotThereYet):
    """An optimizer of tool use."""


class Flex(_NotThereYet):
    """A module whose code is generated."""

    instead = "write a module with `forward`"


class Provider(_NotThereYet):
    """Where weights are trained."""

    instead = "`BootstrapFinetune(submit=True)` trains through LiteLLM, which knows the providers"


class TrainingJob(_NotThereYet):
    """A training of weights."""

    instead = "`BootstrapFinetune(submit=True)` awaits its jobs itself"
