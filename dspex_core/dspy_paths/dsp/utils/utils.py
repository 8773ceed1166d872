"""DSPy's `dspy.dsp.utils.utils`: lists in groups, and dicts with attributes. PYTEST_DONT_REWRITE"""

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
    "batch",
    "deduplicate",
    "dotdict",
    "dotdict_lax",
    "flatten",
    "groupby_first_item",
    "grouper",
    "int_or_float",
    "lengths2offsets",
    "print_message",
    "process_grouped_by_first_item",
    "timestamp",
    "zip_first",
    "zipstar",
]
