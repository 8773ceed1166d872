"""DSPy's `dspy.clients.cache`. PYTEST_DONT_REWRITE"""

from dspex_core.lm.request_cache import Cache, request_cache

__all__ = ["Cache", "request_cache"]
