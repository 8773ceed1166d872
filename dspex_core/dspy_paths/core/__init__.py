"""DSPy's `dspy.core`: what is sent to a language model and comes back. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
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

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
