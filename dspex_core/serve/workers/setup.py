"""What a worker has to know to run a program: JSON data, without secrets. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike


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
