"""DSPy's `dspy.adapters.types.image`: images. PYTEST_DONT_REWRITE"""

from dspex_core.types.image import Image, encode_image, is_image
from dspex_core.types.media import is_url

__all__ = ["Image", "encode_image", "is_image", "is_url"]
