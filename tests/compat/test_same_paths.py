"""DSPy's module paths are there."""

import importlib
import re
import subprocess
import sys

import pytest

IMPORTS = """
from dspy.adapters.chat_adapter import ChatAdapter
from dspy.adapters.types.base_type import Type
from dspy.clients.base_lm import BaseLM
from dspy.clients.lm import LM
from dspy.dsp.utils.settings import settings
from dspy.evaluate import Evaluate, SemanticF1
from dspy.evaluate.evaluate import EvaluationResult
from dspy.predict.react import ReAct
from dspy.primitives.prediction import Completions, Prediction
from dspy.retrievers.embeddings import Embeddings
from dspy.signatures.field import InputField
from dspy.signatures.signature import ensure_signature
from dspy.streaming.streamify import streamify
from dspy.streaming.streaming_listener import StreamListener
from dspy.teleprompt import BootstrapFewShot, MIPROv2
from dspy.teleprompt.random_search import BootstrapFewShotWithRandomSearch
from dspy.utils import DummyLM
from dspy.utils.callback import ACTIVE_CALL_ID, BaseCallback
from dspy.utils.exceptions import AdapterParseError, DSPyError
import dspy.teleprompt as teleprompt
"""


@pytest.mark.parametrize("library", ["dspy", "dspex_core"])
def test_imports_as_users_write_them(real, library):
    names = {}

    exec(re.sub(r"\bdspy\b", library, IMPORTS), names)

    assert names["teleprompt"].BootstrapFewShot is names["BootstrapFewShot"]
    assert importlib.import_module(library).streaming.streamify is names["streamify"]


@pytest.mark.parametrize(
    "path",
    [
        "adapters.types.image.Image",
        "clients.base_lm.BaseLM",
        "evaluate.auto_evaluation.SemanticF1",
        "predict.chain_of_thought.ChainOfThought",
        "streaming.streaming_listener.StreamListener",
        "streaming.streamify",
        "teleprompt.bootstrap.BootstrapFewShot",
        "utils.dummies.DummyLM",
        "utils.exceptions.DSPyError",
    ],
)
def test_attributes_of_the_library_alone(path):
    code = (
        f"import dspex_core as dspy\nassert 'pydantic' not in __import__('sys').modules\nassert callable(dspy.{path})"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["MIPROv2", "COPRO", "GEPA", "SIMBA", "Ensemble", "Retrieve"])
def test_what_is_not_there_yet_says_so_when_it_is_made(ours, name):
    with pytest.raises(ours.ConfigurationError, match=rf"{name} of DSPy is not there yet; .+"):
        getattr(ours, name)(metric=None)
