"""Options of an evaluation, refused before anything runs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
import os
from typing import Any, Literal

from dspex_core.errors import ConfigurationError
from dspex_core.plain.counts import is_number, is_whole
from dspex_core.plain.display import value_text

Keep = Literal["all", "failures", "none"]
KEEPS: tuple[Keep, ...] = ("all", "failures", "none")


def check_options(*, timeout: Any, repeats: Any, keep: Any, stop_when: Any, failure_score: Any) -> None:
    """Refuse options that mean nothing.

    Raises:
        ConfigurationError: An option cannot be used.
    """
    if timeout is not None and not (is_number(timeout) and 0 < timeout < math.inf):
        raise ConfigurationError(f"timeout is a number of seconds above 0, or None for no limit, not {timeout!r}")
    if not is_whole(repeats, 1):
        raise ConfigurationError(f"repeats is the number of attempts at each example, at least 1, not {repeats!r}")
    if keep not in KEEPS:
        raise ConfigurationError(f"keep is one of {', '.join(map(repr, KEEPS))}, not {keep!r}")
    if not (isinstance(failure_score, int | float) and math.isfinite(failure_score)):
        raise ConfigurationError(f"failure_score is the score of a failed example, a number, not {failure_score!r}")
    if stop_when is not None and not callable(getattr(stop_when, "start", None)):
        raise ConfigurationError(f"stop_when is a rule such as decided(min=0.85), not {stop_when!r}")


def check_outputs(*, display_table: Any, **files: Any) -> None:
    """Refuse places for outputs that cannot be used.

    Raises:
        ConfigurationError: A file is not a path, or the table's length is not a number of rows.
    """
    for name, value in files.items():
        if value is not None and not isinstance(value, str | os.PathLike):
            raise ConfigurationError(f"{name} is the path of a file, not {value_text(value, 200)}")
    if not isinstance(display_table, int | None) or (display_table or 0) < 0:
        raise ConfigurationError(
            f"display_table is True, False or a number of rows, not {value_text(display_table, 200)}"
        )


def check_run(*, program: Any, metric: Any, num_threads: Any, max_errors: Any) -> None:
    """Refuse what cannot be run.

    Raises:
        ConfigurationError: The program or the metric cannot be called, or a limit is not a number.
    """
    for name, value in (("program", program), ("metric", metric)):
        if not callable(value):
            raise ConfigurationError(
                f"the {name} of an evaluation must be a function or a program, not {value_text(value, 200)}"
            )
    if not is_whole(num_threads, 1):
        raise ConfigurationError(f"num_threads is a whole number, at least 1, not {num_threads!r}")
    if not (is_number(max_errors) and max_errors >= 0):  # infinity is a limit, too
        raise ConfigurationError(f"max_errors is a number, at least 0, not {max_errors!r}")
