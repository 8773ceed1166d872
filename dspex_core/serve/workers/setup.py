"""What a worker has to know to run a program: JSON data, without secrets. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Self

from dspex_core.errors import ConfigurationError
from dspex_core.plain.display import value_text
from dspex_core.spending.budget import Budget

_LIMITS = {"calls", "tokens", "usd"}


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """How a worker makes its program.

    Credentials are not a part of it: a worker has the environment of its service.

    Args:
        program: The file or folder that `program.save(..., save_program=True)` has written; with a `factory`, that of
            the program's state.
        factory: `"package.module:function"`, whose function returns the program. It is called in each worker.
        allow_import: Whether to import the modules that the file names, as for `dspex_core.load`.
        strict: Whether a program whose source has changed since the file was written is an error.
        name: As for `describe`.
        signature: As for `describe`, in the form of a text.
        lm: The model of all calls, such as `"openai/gpt-4o-mini"`; `None` for what the program has set itself.
        lm_options: Arguments of its `LM`, as JSON data.
        limits: What one request may use: `calls`, `tokens`, `usd`.
        beat: Every how many seconds a worker says that it is alive.
        paths: Where a worker looks for modules.
        content: The files of `program` by name, as its service keeps them; see `with_content`.
    """

    program: str | PathLike[str] | None = None
    factory: str | None = None
    allow_import: bool = False
    strict: bool = False
    name: str | None = None
    signature: str | None = None
    lm: str | None = None
    lm_options: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    beat: float = 1.0
    paths: tuple[str, ...] = ()
    content: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `to_json` has written."""
        return cls(**{**stored, "paths": tuple(stored["paths"])})


def check_setup(setup: WorkerSetup) -> None:
    """Refuse a setup of which no worker could make a program.

    Raises:
        ConfigurationError: A part of it has another type, or a limit another name.
    """
    texts = {"factory": setup.factory, "name": setup.name, "signature": setup.signature, "lm": setup.lm}
    kinds: dict[str, tuple[Any, Any, str]] = {
        "program": (setup.program, str | PathLike | None, "a path"),
        **{name: (value, str | None, "a text") for name, value in texts.items()},
        "lm_options": (setup.lm_options, Mapping, "a mapping of arguments"),
        "limits": (setup.limits, Mapping, "a mapping of limits"),
    }
    for name, (value, kind, words) in kinds.items():
        if not isinstance(value, kind):
            raise ConfigurationError(
                f"`{name}` of a WorkerSetup must be JSON data, {words}, not {value_text(value, 200)}"
            )
    unknown = sorted(set(map(str, setup.limits)) - _LIMITS)
    if unknown:
        raise ConfigurationError(
            f"a WorkerSetup has limits of {', '.join(sorted(_LIMITS))}, not of {value_text(unknown[0], 200)}"
        )
    limits = {name: limit for name, limit in setup.limits.items() if limit is not None}
    if limits:
        Budget(**limits)  # a wrong one is an error now, not with each start of a worker
