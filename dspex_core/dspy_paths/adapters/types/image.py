"""DSPy's `dspy.adapters.types.image`: images. PYTEST_DONT_REWRITE"""

from dspex_core.storage.web import is_url
from dspex_core.types.image import Image, encode_image, is_image

__all__ = ["Image", "encode_image", "is_image", "is_url"]
