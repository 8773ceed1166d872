"""Datasets: examples from files and memory, with stable ids; samples, splits and leaks. PYTEST_DONT_REWRITE

DSPy's `dspy.datasets` is here, too: `DataLoader`, `Dataset` and its built-in datasets.
"""

from dspex_core.datasets.load import load_dataset, stream_dataset
from dspex_core.datasets.splitting import overlap, split

__all__ = ["load_dataset", "overlap", "split", "stream_dataset"]
