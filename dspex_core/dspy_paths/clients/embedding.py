"""DSPy's `dspy.clients.embedding`: vectors of texts. PYTEST_DONT_REWRITE"""

from dspex_core.retrievers.embedders import Embedder

__all__ = ["Embedder"]
