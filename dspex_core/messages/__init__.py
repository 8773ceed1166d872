"""The values that go to a language model and come back from it. PYTEST_DONT_REWRITE

All are frozen and know their JSON form, which is what caches and cassettes store. A
provider's own dicts are made from them and turned into them in the engines only.
"""

from dspex_core.messages.canonical import Json, canonical_json
from dspex_core.messages.conversation import Conversation, Message, SharedTurns
from dspex_core.messages.functions import FunctionCall, FunctionSpec, GivenTool, tool_from_json
from dspex_core.messages.parts import GivenPart, MediaPart, Part, TextPart, part_from_json
from dspex_core.messages.request import LMRequest, ResponseSchema
from dspex_core.messages.response import LMChunk, LMOutput, LMResponse, Usage

__all__ = [
    "Conversation",
    "FunctionCall",
    "FunctionSpec",
    "GivenPart",
    "GivenTool",
    "Json",
    "LMChunk",
    "LMOutput",
    "LMRequest",
    "LMResponse",
    "MediaPart",
    "Message",
    "Part",
    "ResponseSchema",
    "SharedTurns",
    "TextPart",
    "Usage",
    "canonical_json",
    "part_from_json",
    "tool_from_json",
]
