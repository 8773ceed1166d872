"""The DSPy programming model, written natively: `import dspex_core as dspy`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspex_core.adapters import Adapter as Adapter
    from dspex_core.adapters import ChatAdapter as ChatAdapter
    from dspex_core.adapters import JSONAdapter as JSONAdapter
    from dspex_core.adapters import TwoStepAdapter as TwoStepAdapter
    from dspex_core.adapters import XMLAdapter as XMLAdapter
    from dspex_core.config import configure as configure
    from dspex_core.config import context as context
    from dspex_core.config import settings as settings
    from dspex_core.datasets.load import load_dataset as load_dataset
    from dspex_core.datasets.load import stream_dataset as stream_dataset
    from dspex_core.dspy_paths import clients as clients
    from dspex_core.dspy_paths import core as core
    from dspex_core.dspy_paths import dsp as dsp
    from dspex_core.dspy_paths import experimental as experimental
    from dspex_core.dspy_paths import predict as predict
    from dspex_core.dspy_paths import primitives as primitives
    from dspex_core.dspy_paths import signatures as signatures
    from dspex_core.dspy_paths import teleprompt as teleprompt
    from dspex_core.dspy_paths import utils as utils
    from dspex_core.dspy_paths.top_level import *  # noqa: F403  DSPy's other names
    from dspex_core.errors import AdapterParseError as AdapterParseError
    from dspex_core.errors import ArtifactError as ArtifactError
    from dspex_core.errors import BudgetExceededError as BudgetExceededError
    from dspex_core.errors import ConfigurationError as ConfigurationError
    from dspex_core.errors import ContextWindowExceededError as ContextWindowExceededError
    from dspex_core.errors import DatasetError as DatasetError
    from dspex_core.errors import DSPexError as DSPexError
    from dspex_core.errors import EvaluationError as EvaluationError
    from dspex_core.errors import InterpreterError as InterpreterError
    from dspex_core.errors import JudgeError as JudgeError
    from dspex_core.errors import LiveCallRefusedError as LiveCallRefusedError
    from dspex_core.errors import LMAuthError as LMAuthError
    from dspex_core.errors import LMBillingError as LMBillingError
    from dspex_core.errors import LMError as LMError
    from dspex_core.errors import LMInvalidRequestError as LMInvalidRequestError
    from dspex_core.errors import LMNotConfiguredError as LMNotConfiguredError
    from dspex_core.errors import LMProviderError as LMProviderError
    from dspex_core.errors import LMRateLimitError as LMRateLimitError
    from dspex_core.errors import LMRefusalError as LMRefusalError
    from dspex_core.errors import LMResponseError as LMResponseError
    from dspex_core.errors import LMServerError as LMServerError
    from dspex_core.errors import LMTimeoutError as LMTimeoutError
    from dspex_core.errors import LMTransportError as LMTransportError
    from dspex_core.errors import LMUnsupportedFeatureError as LMUnsupportedFeatureError
    from dspex_core.errors import OptimizationError as OptimizationError
    from dspex_core.errors import ParallelError as ParallelError
    from dspex_core.errors import ScriptExhaustedError as ScriptExhaustedError
    from dspex_core.errors import SignatureError as SignatureError
    from dspex_core.errors import StaleArtifactError as StaleArtifactError
    from dspex_core.errors import StaleArtifactWarning as StaleArtifactWarning
    from dspex_core.errors import ToolArgumentsError as ToolArgumentsError
    from dspex_core.errors import ToolExecutionError as ToolExecutionError
    from dspex_core.errors import ToolServerError as ToolServerError
    from dspex_core.errors import TruncatedReplyError as TruncatedReplyError
    from dspex_core.evaluation.evaluate import Evaluate as Evaluate
    from dspex_core.evaluation.result import EvaluationResult as EvaluationResult
    from dspex_core.example import Completions as Completions
    from dspex_core.example import Example as Example
    from dspex_core.example import Prediction as Prediction
    from dspex_core.interpreter import CodeInterpreter as CodeInterpreter
    from dspex_core.interpreter import FinalOutput as FinalOutput
    from dspex_core.interpreter import PythonInterpreter as PythonInterpreter
    from dspex_core.judges import AnswerRelevance as AnswerRelevance
    from dspex_core.judges import CompleteAndGrounded as CompleteAndGrounded
    from dspex_core.judges import ConversationJudge as ConversationJudge
    from dspex_core.judges import Faithfulness as Faithfulness
    from dspex_core.judges import GEval as GEval
    from dspex_core.judges import Judge as Judge
    from dspex_core.judges import PairwiseJudge as PairwiseJudge
    from dspex_core.judges import SemanticF1 as SemanticF1
    from dspex_core.judges import calibrate as calibrate
    from dspex_core.judges import win_rate as win_rate
    from dspex_core.lm.base import BaseLM as BaseLM
    from dspex_core.lm.cache import ResponseCache as ResponseCache
    from dspex_core.lm.call_result import CallResult as CallResult
    from dspex_core.lm.client import LM as LM
    from dspex_core.lm.history import inspect_history as inspect_history
    from dspex_core.lm.scripted import DummyLM as DummyLM
    from dspex_core.lm.scripted import ScriptedLM as ScriptedLM
    from dspex_core.messages import FunctionCall as FunctionCall
    from dspex_core.messages import FunctionSpec as FunctionSpec
    from dspex_core.messages import LMChunk as LMChunk
    from dspex_core.messages import LMOutput as LMOutput
    from dspex_core.messages import LMRequest as LMRequest
    from dspex_core.messages import LMResponse as LMResponse
    from dspex_core.messages import Message as Message
    from dspex_core.messages import Usage as Usage
    from dspex_core.metrics.agents import trajectory_match as trajectory_match
    from dspex_core.metrics.classification import classification_report as classification_report
    from dspex_core.metrics.combined import all_of as all_of
    from dspex_core.metrics.combined import at_least as at_least
    from dspex_core.metrics.combined import weighted as weighted
    from dspex_core.metrics.confusion import confusion_matrix as confusion_matrix
    from dspex_core.metrics.fields import exact_match as exact_match
    from dspex_core.metrics.generated import bleu as bleu
    from dspex_core.metrics.generated import chrf as chrf
    from dspex_core.metrics.generated import rouge_l as rouge_l
    from dspex_core.metrics.numbers import number_match as number_match
    from dspex_core.metrics.retrieval import mrr as mrr
    from dspex_core.metrics.retrieval import ndcg as ndcg
    from dspex_core.metrics.retrieval import precision_at_k as precision_at_k
    from dspex_core.metrics.retrieval import recall_at_k as recall_at_k
    from dspex_core.metrics.score import Score as Score
    from dspex_core.metrics.similarity import embedding_similarity as embedding_similarity
    from dspex_core.metrics.structured import field_match as field_match
    from dspex_core.metrics.structured import json_match as json_match
    from dspex_core.metrics.structured import set_f1 as set_f1
    from dspex_core.metrics.structured import set_precision as set_precision
    from dspex_core.metrics.structured import set_recall as set_recall
    from dspex_core.metrics.text import contains as contains
    from dspex_core.metrics.text import f1 as f1
    from dspex_core.metrics.text import fuzzy_match as fuzzy_match
    from dspex_core.metrics.text import hotpot_f1 as hotpot_f1
    from dspex_core.metrics.text import normalized_match as normalized_match
    from dspex_core.metrics.text import regex_match as regex_match
    from dspex_core.optimizers import BootstrapFewShot as BootstrapFewShot
    from dspex_core.optimizers import BootstrapFewShotWithRandomSearch as BootstrapFewShotWithRandomSearch
    from dspex_core.optimizers import BootstrapRS as BootstrapRS
    from dspex_core.optimizers import Compiler as Compiler
    from dspex_core.optimizers import KNNFewShot as KNNFewShot
    from dspex_core.optimizers import LabeledFewShot as LabeledFewShot
    from dspex_core.optimizers import Optimizer as Optimizer
    from dspex_core.optimizers import Teleprompter as Teleprompter
    from dspex_core.programs import ChainOfThought as ChainOfThought
    from dspex_core.programs import Module as Module
    from dspex_core.programs import NearestDemos as NearestDemos
    from dspex_core.programs import Predict as Predict
    from dspex_core.programs import load as load
    from dspex_core.programs.agents.react import ReAct as ReAct
    from dspex_core.programs.agents.react_v2 import ReActV2 as ReActV2
    from dspex_core.programs.attempts.aggregation import majority as majority
    from dspex_core.programs.attempts.best_of_n import BestOfN as BestOfN
    from dspex_core.programs.attempts.best_of_n import Refine as Refine
    from dspex_core.programs.attempts.comparison import MultiChainComparison as MultiChainComparison
    from dspex_core.programs.code.code_act import CodeAct as CodeAct
    from dspex_core.programs.code.program_of_thought import ProgramOfThought as ProgramOfThought
    from dspex_core.programs.code.rlm import RLM as RLM
    from dspex_core.programs.conversing import Conversation as Conversation
    from dspex_core.programs.conversing import SimulatedUser as SimulatedUser
    from dspex_core.programs.conversing import converse as converse
    from dspex_core.programs.demos.knn import KNN as KNN
    from dspex_core.programs.parallel import Parallel as Parallel
    from dspex_core.programs.sync_async import asyncify as asyncify
    from dspex_core.programs.sync_async import syncify as syncify
    from dspex_core.retrievers import BM25 as BM25
    from dspex_core.retrievers import Embeddings as Embeddings
    from dspex_core.retrievers import EmbeddingsWithScores as EmbeddingsWithScores
    from dspex_core.retrievers import Retriever as Retriever
    from dspex_core.retrievers.embedders import Embedder as Embedder
    from dspex_core.retrievers.embedders import LexicalEmbedder as LexicalEmbedder
    from dspex_core.signatures.signature import InputField as InputField
    from dspex_core.signatures.signature import OutputField as OutputField
    from dspex_core.signatures.signature import Signature as Signature
    from dspex_core.spending.budget import Budget as Budget
    from dspex_core.stats.sequential import decided as decided
    from dspex_core.streaming import streamify as streamify
    from dspex_core.telemetry.callbacks import BaseCallback as BaseCallback
    from dspex_core.telemetry.tracked_usage import track_usage as track_usage
    from dspex_core.tools import MCPTools as MCPTools
    from dspex_core.tools import Tool as Tool
    from dspex_core.tools import ToolRegistry as ToolRegistry
    from dspex_core.types import Audio as Audio
    from dspex_core.types import Citation as Citation
    from dspex_core.types import Citations as Citations
    from dspex_core.types import Code as Code
    from dspex_core.types import Document as Document
    from dspex_core.types import File as File
    from dspex_core.types import History as History
    from dspex_core.types import Image as Image
    from dspex_core.types import Reasoning as Reasoning
    from dspex_core.types import ToolCallResults as ToolCallResults
    from dspex_core.types import ToolCalls as ToolCalls
    from dspex_core.types import Type as Type

# The names above by their modules, for the imports at run time.
_NAMES = {
    "adapters": "Adapter ChatAdapter JSONAdapter TwoStepAdapter XMLAdapter",
    "config": "configure context settings",
    "datasets.load": "load_dataset stream_dataset",
    "errors": (
        "AdapterParseError ArtifactError BudgetExceededError ConfigurationError ContextWindowExceededError "
        "DSPexError DatasetError EvaluationError InterpreterError JudgeError LMAuthError LMBillingError LMError "
        "LMInvalidRequestError LMNotConfiguredError LMProviderError LMRateLimitError LMRefusalError "
        "LMResponseError LMServerError LMTimeoutError LMTransportError LMUnsupportedFeatureError "
        "LiveCallRefusedError OptimizationError ParallelError ScriptExhaustedError SignatureError "
        "StaleArtifactError StaleArtifactWarning ToolArgumentsError ToolExecutionError ToolServerError "
        "TruncatedReplyError"
    ),
    "evaluation.evaluate": "Evaluate",
    "evaluation.result": "EvaluationResult",
    "example": "Completions Example Prediction",
    "interpreter": "CodeInterpreter FinalOutput PythonInterpreter",
    "judges": (
        "AnswerRelevance CompleteAndGrounded ConversationJudge Faithfulness GEval Judge PairwiseJudge SemanticF1 "
        "calibrate win_rate"
    ),
    "lm.base": "BaseLM",
    "lm.cache": "ResponseCache",
    "lm.call_result": "CallResult",
    "lm.client": "LM",
    "lm.history": "inspect_history",
    "lm.scripted": "DummyLM ScriptedLM",
    "messages": "FunctionCall FunctionSpec LMChunk LMOutput LMRequest LMResponse Message Usage",
    "metrics.agents": "trajectory_match",
    "metrics.classification": "classification_report",
    "metrics.combined": "all_of at_least weighted",
    "metrics.confusion": "confusion_matrix",
    "metrics.fields": "exact_match",
    "metrics.generated": "bleu chrf rouge_l",
    "metrics.numbers": "number_match",
    "metrics.retrieval": "mrr ndcg precision_at_k recall_at_k",
    "metrics.score": "Score",
    "metrics.similarity": "embedding_similarity",
    "metrics.structured": "field_match json_match set_f1 set_precision set_recall",
    "metrics.text": "contains f1 fuzzy_match hotpot_f1 normalized_match regex_match",
    "optimizers": (
        "BootstrapFewShot BootstrapFewShotWithRandomSearch BootstrapRS Compiler KNNFewShot LabeledFewShot Optimizer "
        "Teleprompter"
    ),
    "programs": "ChainOfThought Module NearestDemos Predict load",
    "programs.agents.react": "ReAct",
    "programs.agents.react_v2": "ReActV2",
    "programs.attempts.aggregation": "majority",
    "programs.attempts.best_of_n": "BestOfN Refine",
    "programs.attempts.comparison": "MultiChainComparison",
    "programs.code.code_act": "CodeAct",
    "programs.code.program_of_thought": "ProgramOfThought",
    "programs.code.rlm": "RLM",
    "programs.conversing": "Conversation SimulatedUser converse",
    "programs.demos.knn": "KNN",
    "programs.parallel": "Parallel",
    "programs.sync_async": "asyncify syncify",
    "retrievers": "BM25 Embeddings EmbeddingsWithScores Retriever",
    "retrievers.embedders": "Embedder LexicalEmbedder",
    "signatures.signature": "InputField OutputField Signature",
    "spending.budget": "Budget",
    "stats.sequential": "decided",
    "streaming": "streamify",
    "telemetry.callbacks": "BaseCallback",
    "telemetry.tracked_usage": "track_usage",
    "tools": "MCPTools Tool ToolRegistry",
    "types": "Audio Citation Citations Code Document File History Image Reasoning ToolCallResults ToolCalls Type",
}
# DSPy's other names, which `dspy_paths.top_level` has.
_OF_DSPY = (
    "Assistant AvatarOptimizer BaseModule BetterTogether BootstrapFewShotWithOptuna BootstrapFinetune COPRO "
    "CodeExecutionError CodeInterpreterError ColBERTv2 DSPY_CACHE DSPyError Developer Ensemble Flex GEPA InferRules "
    "LMConfig LMConfigurationError LMMessage LMUnexpectedError LMUnsupportedModelError MIPROv2 Provider Retrieve SIMBA "
    "SignatureMeta System ToolCall ToolResult TrainingJob User bootstrap_trace_data cache configure_cache "
    "configure_dspy_loggers "
    "disable_litellm_logging disable_logging enable_litellm_logging enable_logging ensure_signature "
    "infer_prefix is_retryable_lm_error load_settings make_signature"
)
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
_PUBLIC = (*_HOMES, *_OF_DSPY.split())

if not TYPE_CHECKING:  # a type checker takes the imports above
    __all__ = list(_PUBLIC)  # what `from dspex_core import *` imports

# DSPy's module paths, such as `dspex_core.teleprompt`, stand in a folder of their own.
__path__.append(f"{__path__[0]}/dspy_paths")  # noqa: F405  every package has it


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that importing the package costs next to nothing (PEP 562)."""
    from importlib import import_module

    if name not in _HOMES:
        from dspex_core.dspy_paths import of_root

        return of_root(name)
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return list(_PUBLIC)
