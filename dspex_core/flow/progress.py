"""A progress bar on stderr. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any

from dspex_core.errors.foreign_code import foreign_code


class Progress:
    """Shows how many examples are done.

    Args:
        total: How many there are; `None` if that is not known.
        shown: Whether to show a bar; `None` shows it on a terminal only.
    """

    def __init__(self, total: int | None, *, shown: bool | None) -> None:
        self._bar = None if shown is False else _bar(total, disable=None if shown is None else False)

    @property
    def is_shown(self) -> bool:
        """Whether anybody sees it."""
        return self._bar is not None and not self._bar.disable

    def update(self, note: str = "") -> None:
        """Count another example; `note` stands behind the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def _bar(total: int | None, *, disable: bool | None) -> Any:
    with foreign_code():
        from tqdm import tqdm  # only when a bar may be shown

        return tqdm(total=total, unit="example", dynamic_ncols=True, disable=disable)
