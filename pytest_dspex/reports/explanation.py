"""Why a gate failed: its lowest cases with what they asked and got, and how to run them again. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_dspex.reports.shown import shown, shown_briefly, shown_fields, shown_on_a_line
from pytest_dspex.reports.worst import ScoredCase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_dspex.gates.scoring import CountedCase
    from pytest_dspex.gates.verdicts import Verdict

_SHOWN = 5


def explanation(verdict: Verdict, *, rerun: Callable[[Sequence[str]], str], shows_all: bool) -> str:
    """Return the explanation as lines of text.

    Args:
        verdict: The verdict of the gate.
        rerun: Returns the command that runs some node ids again.
        shows_all: Whether to show all cases below the bound, and their values as a whole.
    """
    cases = verdict.worst if shows_all else verdict.worst[:_SHOWN]
    said = verdict.reason if verdict.status == "failed" else f"{verdict.status}: {verdict.reason}"
    lines = [shown_on_a_line(said)]
    for case in cases:
        lines += _lines(case, is_whole=shows_all)
    if len(verdict.worst) > len(cases):
        lines.append(f"  ... and {len(verdict.worst) - len(cases)} more on the wrong side of the bound (-vv shows all)")
    if cases:
        lines += ["Run them again:", f"  {shown(rerun([case.record.nodeid for case in cases]))}"]
    return "\n".join(lines)


def _lines(case: CountedCase, *, is_whole: bool) -> Iterator[str]:
    facts = case.record.facts
    yield f"  {ScoredCase(case.record.name, case.value, case.why)}"
    for name, found in (("inputs", facts.inputs), ("expected", facts.expected), ("got", facts.prediction)):
        if found not in (None, {}):
            yield f"    {name + ':':9} {_shown(found, is_whole=is_whole)}"


def _shown(found: Any, *, is_whole: bool) -> str:
    text = shown_fields(found)
    return shown(text).replace("\n", "\n" + " " * 14) if is_whole else shown_briefly(text)
