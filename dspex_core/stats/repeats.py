"""Repeated attempts at one example: how often one of k passes, and how often all k do. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from math import comb

from dspex_core.errors import ConfigurationError


def pass_at_k(*, passed: int, attempts: int, k: int) -> float:
    """Estimate the probability that at least one of `k` attempts passes, of which `passed` of `attempts` did.

    The estimate is unbiased: one minus the share of all choices of `k` attempts in which none passed. Source: Chen et
    al. 2021, "Evaluating Large Language Models Trained on Code" (arXiv:2107.03374), section 2.1.

    Raises:
        ConfigurationError: The numbers do not fit together.
    """
    _check(passed, attempts, k)
    return 1 - comb(attempts - passed, k) / comb(attempts, k)


def pass_pow_k(*, passed: int, attempts: int, k: int) -> float:
    """Estimate the probability that all of `k` attempts pass (pass^k), of which `passed` of `attempts` did.

    The estimate is unbiased: the share of all choices of `k` attempts in which each passed. Source: Yao et al. 2024,
    "tau-bench: A Benchmark for Tool-Agent-User Interaction in Real-World Domains" (arXiv:2406.12045), section 3.

    Raises:
        ConfigurationError: The numbers do not fit together.
    """
    _check(passed, attempts, k)
    return comb(passed, k) / comb(attempts, k)


def _check(passed: int, attempts: int, k: int) -> None:
    if not 1 <= k <= attempts or not 0 <= passed <= attempts:
        raise ConfigurationError(
            f"k must be between 1 and the number of attempts, and of these some or none pass: passed={passed!r}, "
            f"attempts={attempts!r}, k={k!r}"
        )
