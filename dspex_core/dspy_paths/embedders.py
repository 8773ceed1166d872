"""A short path to embedders. PYTEST_DONT_REWRITE"""

from dspex_core.retrievers.embedders import Embedder, LexicalEmbedder

__all__ = ["Embedder", "LexicalEmbedder"]
