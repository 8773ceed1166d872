"""Retrievers: find passages of a corpus for a query. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import folder_of, submodules

if TYPE_CHECKING:
    from dspex_core.retrievers.base import Retriever
    from dspex_core.retrievers.bm25 import BM25
    from dspex_core.retrievers.embeddings import Embeddings, EmbeddingsWithScores

__all__ = ["BM25", "Embeddings", "EmbeddingsWithScores", "Retriever"]

__path__.append(folder_of(__name__))  # DSPy's submodules
if not TYPE_CHECKING:  # type checkers take the imports above, and find DSPy's submodules by themselves
    __getattr__ = submodules(
        __name__,
        BM25="bm25",
        Embeddings="embeddings",
        EmbeddingsWithScores="embeddings",
        Retrieve="retrieve",
        Retriever="base",
    )
