"""Types for signature fields beyond text and data. PYTEST_DONT_REWRITE

A model's value stays data: validating it or showing it in a prompt never reads a file or fetches an address. Only
`from_path` and `from_url` do, which a program calls. The types load pydantic, so they are imported at first use.
"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules

if TYPE_CHECKING:
    from dspex_core.types.audio import Audio
    from dspex_core.types.base import Type
    from dspex_core.types.citations import Citation, Citations, Document
    from dspex_core.types.code import Code
    from dspex_core.types.file import File
    from dspex_core.types.history import History
    from dspex_core.types.image import Image
    from dspex_core.types.reasoning import Reasoning
    from dspex_core.types.tool_calls import ToolCallResults, ToolCalls

__all__ = [
    "Audio",
    "Citation",
    "Citations",
    "Code",
    "Document",
    "File",
    "History",
    "Image",
    "Reasoning",
    "ToolCallResults",
    "ToolCalls",
    "Type",
]

if not TYPE_CHECKING:  # type checkers take the imports above
    __getattr__ = submodules(
        __name__,
        Audio="audio",
        Citation="citations",
        Citations="citations",
        Code="code",
        Document="citations",
        File="file",
        History="history",
        Image="image",
        Reasoning="reasoning",
        ToolCallResults="tool_calls",
        ToolCalls="tool_calls",
        Type="base",
    )
