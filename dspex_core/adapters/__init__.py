"""Adapters: how a signature becomes a prompt and a reply becomes its outputs. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.adapters.base import Adapter, Extraction
from dspex_core.adapters.chat import ChatAdapter
from dspex_core.adapters.json import JSONAdapter
from dspex_core.adapters.prompt import CompiledPrompt
from dspex_core.adapters.two_step import TwoStepAdapter
from dspex_core.adapters.xml import XMLAdapter
from dspex_core.dspy_paths import folder_of, submodules

if TYPE_CHECKING:
    from dspex_core.tools import Tool
    from dspex_core.types import (
        Audio,
        Code,
        File,
        History,
        Image,
        Reasoning,
        ToolCallResults,
        ToolCalls,
        Type,
    )

__all__ = [
    "Adapter",
    "Audio",
    "ChatAdapter",
    "Code",
    "CompiledPrompt",
    "Extraction",
    "File",
    "History",
    "Image",
    "JSONAdapter",
    "Reasoning",
    "Tool",
    "ToolCallResults",
    "ToolCalls",
    "TwoStepAdapter",
    "Type",
    "XMLAdapter",
]

__path__.append(folder_of(__name__))  # DSPy's submodules
if not TYPE_CHECKING:  # type checkers find them by themselves
    _TYPES = ("Audio", "Code", "File", "History", "Image", "Reasoning", "ToolCallResults", "ToolCalls", "Type")
    __getattr__ = submodules(__name__, **dict.fromkeys(_TYPES, "types"), Tool="types")  # they load pydantic
