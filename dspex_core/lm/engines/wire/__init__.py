"""OpenAI's wire formats, one module for each endpoint: pure, and shared by both engines. PYTEST_DONT_REWRITE"""

from dspex_core.lm.engines.wire.base import MISREAD, DeclinedError, ModelType, RefusedError, ReplyInPieces, WireFormat
from dspex_core.lm.engines.wire.formats import wire_format

__all__ = ["MISREAD", "DeclinedError", "ModelType", "RefusedError", "ReplyInPieces", "WireFormat", "wire_format"]
