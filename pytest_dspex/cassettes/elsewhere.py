"""A miss where pytest's own kind of failure would do harm: in a thread or a child of a test. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dspex_core import DSPexError


class MissElsewhereError(DSPexError):
    """A thread or a child process of a test asked for what its cassette does not hold.

    It is an `Exception`, as `multiprocessing.Pool` waits for ever for work that ends in another kind of error. The
    session remembers it, so that the test fails also where somebody has caught it.
    """
