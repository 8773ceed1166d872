"""Finding passages of a corpus for a query. PYTEST_DONT_REWRITE"""

from dspex_core.retrievers.base import Retriever
from dspex_core.retrievers.bm25 import BM25
from dspex_core.retrievers.embeddings import Embeddings

EmbeddingsWithScores = Embeddings

__all__ = ["BM25", "Embeddings", "EmbeddingsWithScores", "Retriever"]
