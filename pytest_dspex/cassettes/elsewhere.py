"""The error of a cassette miss in a thread or a child process of a test. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dspex_core import DSPexError


class MissElsewhereError(DSPexError):
    """A thread or a child process of a test made an LM call that is not in the test's cassette.

    It is an `Exception`, not a pytest outcome: `multiprocessing.Pool` waits for ever for work that ends in any other
    `BaseException`. The session remembers the miss, so that the test fails even if its code catches this error.
    """
