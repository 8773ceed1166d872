"""DSPy's `dspy.adapters.types.image`: images. PYTEST_DONT_REWRITE"""

from dspex_core.types import Image
from dspex_core.types.media import is_url

__all__ = ["Image", "is_url"]
