"""Adapters: how a signature becomes a prompt and a reply becomes its outputs. PYTEST_DONT_REWRITE"""

from dspex_core.adapters.base import Adapter, CompiledPrompt
from dspex_core.adapters.chat import ChatAdapter
from dspex_core.adapters.json import JSONAdapter

__all__ = ["Adapter", "ChatAdapter", "CompiledPrompt", "JSONAdapter"]
