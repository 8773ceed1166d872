"""DSPy's `dspy.signatures`: signatures and their fields. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.signature import (
    InputField,
    OutputField,
    Signature,
    SignatureMeta,
    ensure_signature,
    infer_prefix,
    make_signature,
)

__all__ = [
    "InputField",
    "OutputField",
    "Signature",
    "SignatureMeta",
    "ensure_signature",
    "infer_prefix",
    "make_signature",
]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
