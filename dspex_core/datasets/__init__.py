"""Datasets: examples from files, with stable ids; seeded splits; the check for overlap. PYTEST_DONT_REWRITE"""

from dspex_core.datasets.load import load_dataset

__all__ = ["load_dataset"]
