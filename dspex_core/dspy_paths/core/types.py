"""DSPy's `dspy.core.types`: what is sent to a language model and comes back. PYTEST_DONT_REWRITE"""

from dspex_core.messages import FunctionSpec as LMToolSpec
from dspex_core.messages import LMRequest, LMResponse
from dspex_core.messages.typed import (
    Assistant,
    Developer,
    LMAudioPart,
    LMBinaryPart,
    LMConfig,
    LMImagePart,
    LMMessage,
    LMOutput,
    LMPart,
    LMTextPart,
    LMToolCallPart,
    LMUsage,
    System,
    ToolCall,
    ToolResult,
    User,
)

__all__ = [
    "Assistant",
    "Developer",
    "LMAudioPart",
    "LMBinaryPart",
    "LMConfig",
    "LMImagePart",
    "LMMessage",
    "LMOutput",
    "LMPart",
    "LMRequest",
    "LMResponse",
    "LMTextPart",
    "LMToolCallPart",
    "LMToolSpec",
    "LMUsage",
    "System",
    "ToolCall",
    "ToolResult",
    "User",
]
