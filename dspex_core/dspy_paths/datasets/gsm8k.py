"""DSPy's `dspy.datasets.gsm8k`: grade-school problems. PYTEST_DONT_REWRITE"""

from dspex_core.datasets.built_in import GSM8K, gsm8k_metric, parse_integer_answer

__all__ = ["GSM8K", "gsm8k_metric", "parse_integer_answer"]
