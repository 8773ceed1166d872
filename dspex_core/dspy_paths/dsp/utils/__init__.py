"""DSPy's `dspy.dsp.utils`: the settings, under their oldest name, and small tools. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.config import settings
from dspex_core.dspy_paths import submodules
from dspex_core.interop.dspy_tools.answers import (
    DPR_normalize,
    DPR_tokenize,
    SimpleTokenizer,
    STokenizer,
    Tokens,
    has_answer,
    locate_answers,
    strip_accents,
)
from dspex_core.interop.dspy_tools.lists import (
    batch,
    deduplicate,
    dotdict,
    dotdict_lax,
    flatten,
    groupby_first_item,
    grouper,
    int_or_float,
    lengths2offsets,
    print_message,
    process_grouped_by_first_item,
    timestamp,
    zip_first,
    zipstar,
)

__all__ = [
    "DPR_normalize",
    "DPR_tokenize",
    "STokenizer",
    "SimpleTokenizer",
    "Tokens",
    "batch",
    "deduplicate",
    "dotdict",
    "dotdict_lax",
    "flatten",
    "groupby_first_item",
    "grouper",
    "has_answer",
    "int_or_float",
    "lengths2offsets",
    "locate_answers",
    "print_message",
    "process_grouped_by_first_item",
    "settings",
    "strip_accents",
    "timestamp",
    "zip_first",
    "zipstar",
]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
