"""Programs: modules that call language models. PYTEST_DONT_REWRITE"""

from dspex_core.programs import as_tool as as_tool  # programs are among the things that tools are made of
from dspex_core.programs.base import Module
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.programs.demos import NearestDemos
from dspex_core.programs.loading import load
from dspex_core.programs.predict import Predict

__all__ = ["ChainOfThought", "Module", "NearestDemos", "Predict", "load"]
