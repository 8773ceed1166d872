"""Programs: modules that call language models. PYTEST_DONT_REWRITE"""

from dspex_core.programs import as_tool as as_tool  # programs are among the things that tools are made of
from dspex_core.programs.base import Module
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.programs.demos.selector import NearestDemos
from dspex_core.programs.predict import Predict
from dspex_core.programs.saving.loading import load

__all__ = ["ChainOfThought", "Module", "NearestDemos", "Predict", "load"]
