"""DSPy's module paths and their public names are there, but for those listed here with the reason."""

import importlib
import inspect
import operator
import pkgutil
import re
import subprocess
import sys

import pytest

INTERNAL = "how DSPy does it, not what it offers"
FINETUNING = "weights are not trained"
LATER = "an optimizer that is not there yet"
OLD_FIELDS = "no signature of DSPy takes them any more"
PROMPTS = "signatures and parts of DSPy's own prompts"
NO_MODULE = {  # DSPy's modules that have no path here; a trailing dot means everything below
    "dspy.__metadata__": INTERNAL,
    "dspy.adapters._legacy_type_markers": INTERNAL,
    "dspy.clients._litellm": INTERNAL,
    "dspy.clients.databricks": FINETUNING,
    "dspy.clients.disk_serialization": "nothing is pickled",
    "dspy.clients.lm_local": FINETUNING,
    "dspy.clients.openai": FINETUNING,
    "dspy.clients.openai_format": INTERNAL,
    "dspy.datasets.alfworld": "a game of another project, which has to be installed and played",
    "dspy.datasets.alfworld.": "as dspy.datasets.alfworld",
    "dspy.predict.avatar.": "an agent that ReAct replaces",
    "dspy.predict.flex.": INTERNAL,
    "dspy.predict.parameter": INTERNAL,
    "dspy.predict.retry": "empty in DSPy",
    "dspy.primitives.repl_types": INTERNAL,
    "dspy.primitives.sandbox_serializable": "inputs of RLM are JSON-like data",
    "dspy.propose.": LATER,
    "dspy.retrievers.databricks_rm": "a client of one server",
    "dspy.retrievers.weaviate_rm": "a client of one server",
    "dspy.teleprompt.gepa.": LATER,
    "dspy.teleprompt.signature_opt": "an older name of COPRO",
    "dspy.teleprompt.simba_utils": INTERNAL,
    "dspy.teleprompt.utils": INTERNAL,
    "dspy.utils.caching": INTERNAL,
    "dspy.utils.constants": INTERNAL,
    "dspy.utils.hasher": INTERNAL,
    "dspy.utils.lazy_import": INTERNAL,
}
NOT_YET = "not there yet"
MAY_COME = {  # modules and names that docs/migrating-from-dspy.md lists as not there yet
    "dspy.predict.react_v2": "",
    "dspy.predict": "ReActV2",
}
HAS_MODULE = {  # though what is beside it has none
    "dspy.predict.avatar.avatar",
    "dspy.propose.grounded_proposer",
    "dspy.teleprompt.gepa.gepa",
}
PARTS = "OpenAI's form has no such parts; a request's parameters are flat"
NO_NAME = {  # by module, then by reason
    "dspy.adapters.chat_adapter": {INTERNAL: "FieldInfoWithName"},
    "dspy.adapters.types.audio": {INTERNAL: "encode_audio"},
    "dspy.adapters.types.base_type": {INTERNAL: "split_message_content_for_custom_types"},
    "dspy.adapters.types.file": {INTERNAL: "encode_file_to_dict"},
    "dspy.adapters.types.image": {INTERNAL: "encode_image is_image"},
    "dspy.adapters.utils": {INTERNAL: "annotation_allows_none apply_output_field_defaults"},
    "dspy.clients.lm": {
        INTERNAL: "alitellm_completion alitellm_responses_completion alitellm_text_completion litellm_completion "
        "litellm_responses_completion litellm_text_completion"
    },
    "dspy.clients.utils_finetune": {
        INTERNAL: "GRPOChatData GRPOGroup GRPOStatus Message MessageAssistant find_data_error_chat "
        "find_data_error_chat_message find_data_errors_completion get_finetune_directory infer_data_format save_data "
        "validate_data_format write_lines"
    },
    "dspy.datasets": {NO_MODULE["dspy.datasets.alfworld"]: "AlfWorld"},
    "dspy.dsp.colbertv2": {
        "a client of one server": "ColBERTv2RerankerLocal ColBERTv2RetrieverLocal colbertv2_get_request "
        "colbertv2_get_request_v2 colbertv2_get_request_v2_wrapped colbertv2_post_request colbertv2_post_request_v2 "
        "colbertv2_post_request_v2_wrapped"
    },
    "dspy.dsp.utils": {
        INTERNAL: "DEFAULT_CONFIG NullContextManager Settings Tokenizer create_directory file_tqdm "
        "load_batch_backgrounds main_thread_config"
    },
    "dspy.dsp.utils.dpr": {INTERNAL: "Tokenizer"},
    "dspy.dsp.utils.settings": {INTERNAL: "Settings"},
    "dspy.dsp.utils.utils": {INTERNAL: "NullContextManager create_directory file_tqdm load_batch_backgrounds"},
    "dspy.evaluate.evaluate": {
        INTERNAL: "HTML configure_dataframe_for_ipython_notebook_display display display_dataframe "
        "is_in_ipython_notebook_environment merge_dicts prediction_is_dictlike stylize_metric_name truncate_cell"
    },
    "dspy.predict.avatar": {INTERNAL: "Action ActionOutput Actor Tool ensure_signature get_number_with_suffix"},
    "dspy.predict.avatar.avatar": {INTERNAL: "get_number_with_suffix"},
    "dspy.predict.predict": {INTERNAL: "serialize_object"},
    "dspy.predict.refine": {INTERNAL: "OfferFeedback inspect_modules recursive_mask"},
    "dspy.primitives": {"inputs of RLM are JSON-like data": "SandboxSerializable"},
    "dspy.primitives.module": {INTERNAL: "ProgramMeta set_attribute_by_name"},
    "dspy.propose.grounded_proposer": {
        PROMPTS: "DescribeModule DescribeProgram GenerateModuleInstruction generate_instruction_class"
    },
    "dspy.retrievers.retrieve": {INTERNAL: "single_query_passage"},
    "dspy.signatures": {OLD_FIELDS: "OldField OldInputField OldOutputField"},
    "dspy.signatures.field": {
        INTERNAL: "move_kwargs new_to_old_field",
        OLD_FIELDS: "OldField OldInputField OldOutputField",
    },
    "dspy.streaming.messages": {INTERNAL: "StatusStreamingCallback sync_send_to_stream"},
    "dspy.streaming.streaming_listener": {INTERNAL: "find_predictor_for_stream_listeners"},
    "dspy.teleprompt.avatar_optimizer": {INTERNAL: "Comparator EvalResult FeedbackBasedInstruction"},
    "dspy.teleprompt.bootstrap_finetune": {
        FINETUNING: "FinetuneTeleprompter all_predictors_have_lms assert_no_shared_predictor "
        "assert_structural_equivalency build_call_data_from_trace copy_program_with_lms get_unique_lms kill_lms "
        "launch_lms prepare_student prepare_teacher"
    },
    "dspy.teleprompt.copro_optimizer": {PROMPTS: "BasicGenerateInstruction GenerateInstructionGivenAttempts"},
    "dspy.teleprompt.gepa.gepa": {LATER: "DspyGEPAResult GEPAFeedbackMetric"},
    "dspy.teleprompt.grpo": {INTERNAL: "disable_lm_cache recover_lm_cache"},
    "dspy.teleprompt.infer_rules": {LATER: "RulesInductionProgram"},
    "dspy.utils.annotation": {INTERNAL: "P R"},
    "dspy.utils.exceptions": {INTERNAL: "format_error_for_lm"},
    "dspy.utils.logging_utils": {INTERNAL: "DSPY_LOGGING_STREAM DSPyLoggingStream"},
    "dspy.utils.asyncify": {INTERNAL: "get_async_max_workers get_limiter"},
    "dspy.utils.syncify": {INTERNAL: "run_async"},
}
TYPED_PARTS = (
    "LMCacheConfig LMCitationPart LMDocumentPart LMPromptCacheConfig LMReasoningConfig LMRefusalPart LMThinkingPart "
    "LMToolChoice LMToolResultPart LMVideoPart"
)
OF_STREAMS = (
    "AsyncLMStream LMAudioDelta LMBasePart LMCitationDelta LMDelta LMHistoryEntry LMImageDelta LMOutputBuilder "
    "LMRequestPatch LMSourcePart LMStream LMStreamDeltaEvent LMStreamEndEvent LMStreamErrorEvent LMStreamEvent "
    "LMStreamOutputEndEvent LMStreamStartEvent LMTextDelta LMThinkingDelta LMToolCallDelta"
)
NO_NAME["dspy.core"] = {PARTS: TYPED_PARTS}
NO_NAME["dspy.core.types"] = {PARTS: TYPED_PARTS, INTERNAL: OF_STREAMS}
NO_TOP_LEVEL_NAME = {
    "SandboxSerializable": "inputs of RLM are JSON-like data",
    **dict.fromkeys(["OldField", "OldInputField", "OldOutputField"], OLD_FIELDS),
    "ReActV2": NOT_YET,
}


def public_names(module):
    """The names that a module lists, or else the classes and functions that it defines."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return {name for name in listed if hasattr(module, name)}
    defined = {name: value for name, value in vars(module).items() if name[0] != "_" and not inspect.ismodule(value)}
    if hasattr(module, "__path__"):
        return {name for name, value in defined.items() if str(getattr(value, "__module__", "")).startswith("dspy.")}
    return {name for name, value in defined.items() if getattr(value, "__module__", None) == module.__name__}


def has_no_module(path):
    if path in HAS_MODULE:
        return False
    return path in NO_MODULE or any(path.startswith(each) for each in NO_MODULE if each.endswith("."))


def test_every_module_and_name_of_dspy_is_here_or_listed_with_a_reason(ours, real):
    missing_modules, missing_names = [], {}
    for found in pkgutil.walk_packages(real.__path__, "dspy.", onerror=lambda _: None):
        if has_no_module(found.name):
            continue
        theirs = importlib.import_module(found.name)
        try:
            mine = importlib.import_module(f"dspex_core{found.name.removeprefix('dspy')}")
        except ModuleNotFoundError:
            if found.name not in MAY_COME:
                missing_modules.append(found.name)
            continue
        listed = {name for names in NO_NAME.get(found.name, {}).values() for name in names.split()}
        listed |= set(MAY_COME.get(found.name, "").split())
        lacking = {name for name in public_names(theirs) if not hasattr(mine, name)}
        if lacking - listed:
            missing_names[found.name] = lacking - listed

    assert not missing_modules
    assert not missing_names


def test_every_top_level_name_of_dspy_is_here_or_listed_with_a_reason(ours, real):
    theirs = {name for name in dir(real) if name[0] != "_"}

    assert {name for name in theirs if not hasattr(ours, name)} <= set(NO_TOP_LEVEL_NAME)


@pytest.mark.parametrize("path", sorted(path for path in NO_MODULE if not path.endswith(".")))
def test_a_module_that_is_listed_as_missing_is_missing(path):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"dspex_core{path.removeprefix('dspy')}")


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


@pytest.mark.parametrize(
    "path", ["AvatarOptimizer", "Flex", "predict.avatar.Avatar", "propose.GroundedProposer", "teleprompt.grpo.GRPO"]
)
def test_what_is_left_out_says_so_when_it_is_made(ours, path):
    name = path.rpartition(".")[2]
    with pytest.raises(ours.ConfigurationError, match=rf"{name} of DSPy is left out here; .+"):
        operator.attrgetter(path)(ours)(metric=None)
