"""Adapters: how a signature becomes a prompt and a reply becomes its outputs. PYTEST_DONT_REWRITE"""

from dspex_core.adapters.base import Adapter, CompiledPrompt, Extraction
from dspex_core.adapters.chat import ChatAdapter
from dspex_core.adapters.json import JSONAdapter
from dspex_core.adapters.two_step import TwoStepAdapter
from dspex_core.adapters.xml import XMLAdapter

__all__ = ["Adapter", "ChatAdapter", "CompiledPrompt", "Extraction", "JSONAdapter", "TwoStepAdapter", "XMLAdapter"]
