"""The journal of an evaluation: a line for each finished case, from which a killed run goes on. PYTEST_DONT_REWRITE

    {"dspex": "evaluation journal", "version": 1, "fingerprint": {"program": {...}, "metric": {...}, ...}}
    {"row": "0f3a52c6d0b1", "prediction": {...}, "score": {...}, ..., "attempt": 1, "index": 0}

The rows are not in it: they come from the dataset again, and must be those of then.
"""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from dspex_core.errors import ConfigurationError
from dspex_core.evaluation.case import CaseResult
from dspex_core.evaluation.fingerprint import differences, row_digest, rows_data
from dspex_core.storage.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from dspex_core.example import Example

_KIND = {"dspex": "evaluation journal", "version": 1}


class CaseJournal:
    """Keeps the finished cases of one evaluation in a file.

    Args:
        path: The file.
        fingerprint: What the evaluation is of.
        examples: All rows, if they are known beforehand.

    Raises:
        ConfigurationError: The file is in use, or of another evaluation, or a line is damaged.
    """

    def __init__(
        self, path: str | PathLike[str], *, fingerprint: Mapping[str, Any], examples: Sequence[Example] | None
    ) -> None:
        self._digests = None if examples is None else [row_digest(example) for example in examples]
        now = {**fingerprint, "devset": None if self._digests is None else rows_data(self._digests)}
        self._places: dict[int, array[int]] = {}  # of each attempt, the places of its cases in the file
        self._file = Journal(path, start=_line(_KIND)[:-1])
        self.error: OSError | None = None
        try:
            if not self._read(now):
                self._file.append(_line({**_KIND, "fingerprint": now}))
        except OSError as error:
            self._file.close()
            raise ConfigurationError(f"the journal {str(path)!r} cannot be written: {error.strerror}") from error
        except BaseException:
            self._file.close()
            raise

    def case(self, example: Example, attempt: int, *, index: int) -> CaseResult | None:
        """Return a case that an earlier run has finished.

        Raises:
            ConfigurationError: The row of then was another one.
        """
        places = self._places.get(attempt, ())
        if index >= len(places) or places[index] < 0:
            return None
        data = json.loads(self._file.line_at(places[index]))
        if data["row"] != self._digest(example, index):
            raise ConfigurationError(
                f"row {index + 1} of the devset is another than in the journal {str(self._file.path)!r}: "
                "give another journal, or evaluate on the rows of then"
            )
        return CaseResult.from_json(data, example)

    def add(self, case: CaseResult) -> None:
        """Append a finished case; the first error ends that, and stays in `error`."""
        if self.error is not None:
            return
        assert case.index is not None, "a case of an evaluation has a place"
        row = self._digest(case.example, case.index)
        try:
            self._file.append(_line({"row": row, **case.outcome_to_json()}))
        except OSError as error:
            self.error = error

    def close(self) -> None:
        """Give the file free for others."""
        self._file.close()

    def _digest(self, example: Example, index: int) -> str:
        return row_digest(example) if self._digests is None else self._digests[index]

    def _read(self, now: Mapping[str, Any]) -> bool:
        """Note where each case is; return whether there is a whole first line."""
        changed: list[int] = []
        header: Mapping[str, Any] | None = None
        for number, place, line in self._file.lines():
            data = self._parsed(number, line)
            if header is None:
                header = data
                self._refuse_other(header, now, ignoring=("devset",))
                continue
            index, attempt = data["index"], data["attempt"]
            places = self._places.setdefault(attempt, array("q"))
            places.extend([-1] * (index + 1 - len(places)))
            places[index] = place
            if self._digests is not None and (index >= len(self._digests) or self._digests[index] != data["row"]):
                changed.append(index + 1)
        if header is not None:
            self._refuse_other_rows(header["fingerprint"].get("devset"), now["devset"], changed)
        return header is not None

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads(line)
            if number == 1:
                is_whole = {name: data.get(name) for name in _KIND} == _KIND and isinstance(data["fingerprint"], dict)
            else:
                is_whole = min(data["index"], data["attempt"] - 1) >= 0 and isinstance(data["row"], str)
                CaseResult.from_json(data, _ANY)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            is_whole = False
        if not is_whole:
            what = "is not the first line of an evaluation's journal" if number == 1 else "is damaged"
            raise ConfigurationError(
                f"{self._file.path}:{number}: the line {what}: mend or remove it, or give another journal"
            )
        return data

    def _refuse_other(self, header: Mapping[str, Any], now: Mapping[str, Any], *, ignoring: Sequence[str]) -> None:
        compared = {name: part for name, part in now.items() if name not in ignoring}
        changed = differences(header["fingerprint"], compared)
        if changed:
            raise ConfigurationError(self._other(changed))

    def _refuse_other_rows(self, then: Any, now: Any, changed: Sequence[int]) -> None:
        if not changed and (then is None or now is None or then == now):
            return
        rows = f"{then['n'] if then else 'some'} rows then, {now['n']} now"
        first = f"; of the finished rows {len(changed)} differ, the first is row {changed[0]}" if changed else ""
        raise ConfigurationError(self._other([f"another devset ({rows}{first})"]))

    def _other(self, changed: Sequence[str]) -> str:
        listed = "".join(f"\n  {text}" for text in changed)
        path = str(self._file.path)
        return f"the journal {path!r} is of another evaluation; give another journal, or remove it:{listed}"


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_ANY: Any = object()  # stands for an example that no line holds


def _line(data: Mapping[str, Any]) -> bytes:
    """Return JSON data as a line, by pydantic's encoder: it takes a third of the time of Python's."""
    try:
        return to_json(data)
    except ValueError:  # a text that UTF-8 does not hold, or lists in lists in lists
        return _encode(data).encode()
