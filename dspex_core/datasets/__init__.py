"""Datasets: examples from files and memory, with stable ids; samples, splits and leaks. PYTEST_DONT_REWRITE

DSPy's `dspy.datasets` is here, too: `DataLoader`, `Dataset` and its built-in datasets.
"""

from typing import TYPE_CHECKING

from dspex_core.datasets.leaks import NearDuplicate, near_duplicates, overlap
from dspex_core.datasets.load import load_dataset, stream_dataset
from dspex_core.datasets.sampling import sample, split
from dspex_core.dspy_paths import folder_of, submodules

if TYPE_CHECKING:
    from dspex_core.datasets.built_in import MATH, HotPotQA
    from dspex_core.datasets.colors import Colors
    from dspex_core.datasets.dataloader import DataLoader
    from dspex_core.datasets.dataset import Dataset

__all__ = [
    "MATH",
    "Colors",
    "DataLoader",
    "Dataset",
    "HotPotQA",
    "NearDuplicate",
    "load_dataset",
    "near_duplicates",
    "overlap",
    "sample",
    "split",
    "stream_dataset",
]

__path__.append(folder_of(__name__))  # DSPy's submodules
if not TYPE_CHECKING:  # type checkers find them by themselves
    __getattr__ = submodules(
        __name__, Colors="colors", DataLoader="dataloader", Dataset="dataset", HotPotQA="built_in", MATH="built_in"
    )
