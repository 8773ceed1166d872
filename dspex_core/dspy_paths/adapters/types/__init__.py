"""DSPy's `dspy.adapters.types`: types of fields. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.tools import Tool
from dspex_core.types import Audio, Code, File, History, Image, Reasoning, ToolCallResults, ToolCalls, Type

__all__ = ["Audio", "Code", "File", "History", "Image", "Reasoning", "Tool", "ToolCallResults", "ToolCalls", "Type"]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
