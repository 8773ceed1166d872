"""DSPy's `dspy.predict`: the modules that ask language models. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.programs import ChainOfThought, Predict
from dspex_core.programs.agents.react import ReAct
from dspex_core.programs.agents.react_v2 import ReActV2
from dspex_core.programs.attempts.aggregation import majority
from dspex_core.programs.attempts.best_of_n import BestOfN, Refine
from dspex_core.programs.attempts.comparison import MultiChainComparison
from dspex_core.programs.code.code_act import CodeAct
from dspex_core.programs.code.program_of_thought import ProgramOfThought
from dspex_core.programs.code.rlm import RLM
from dspex_core.programs.demos.knn import KNN
from dspex_core.programs.parallel import Parallel
from dspex_core.tools import Tool

__all__ = [
    "KNN",
    "RLM",
    "BestOfN",
    "ChainOfThought",
    "CodeAct",
    "MultiChainComparison",
    "Parallel",
    "Predict",
    "ProgramOfThought",
    "ReAct",
    "ReActV2",
    "Refine",
    "Tool",
    "majority",
]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
