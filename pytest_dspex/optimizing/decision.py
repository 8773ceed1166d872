"""Whether a recompiled program replaces the one in use, decided on held-out examples. PYTEST_DONT_REWRITE

Whoever looks at the same held-out examples again and again will find a program that is better on them by chance. The
Ladder of Blum and Hardt (2015, "The Ladder: A Reliable Leaderboard for Machine Learning Competitions") therefore takes
only what is better by a step that noise does not make. Here the step is a paired test (exact McNemar, or sign flips for
fractional scores): pairs take the noise of the examples out, and the test is exact for few of them, while noise exceeds
the Ladder's own step, one standard error, in every sixth look. The level falls with each look: alpha/(k(k+1)) at the
k-th. These sum to alpha, so a program that is no better is taken with a probability of at most alpha (5 %) in all looks
together, and what is reported of the held-out examples does not drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex_core.plugin_api import SIGNIFICANCE

if TYPE_CHECKING:
    from dspex_core.plugin_api import Comparison
    from pytest_dspex.optimizing.results import OptimizeOutcome


def level_of(look: int) -> float:
    """Return the two-sided p below which the k-th look at the same held-out examples takes a better program."""
    return 2 * SIGNIFICANCE / (look * (look + 1))


def decide(comparison: Comparison, look: int, *, is_stale: bool = False) -> OptimizeOutcome:
    """Return what becomes of a recompiled program.

    Args:
        comparison: The program in use (before) and the recompiled one (after) on the same examples.
        look: Which look at these examples it is, from 1.
        is_stale: Whether the program in use is of an older source. It cannot stay, so the recompiled one need not be
            better, only not worse beyond chance.
    """
    if comparison.outcome == "regressed":
        return "regressed"
    if comparison.difference > 0 and comparison.p_value < level_of(look):
        return "improved"
    return "recompiled" if is_stale else "not better"


def doubt(comparison: Comparison, look: int) -> str:
    """Return why a program that scores better is not taken; empty if it does not score better."""
    if comparison.difference <= 0:
        return ""
    ordinal = "the first look" if look == 1 else f"{look} looks"
    return (
        f"the gain may be chance: p={comparison.p_value:.3f}, and after {ordinal} at these {len(comparison.pairs)} "
        f"held-out examples p must be below {level_of(look):.2g}; more held-out examples show smaller gains"
    )
