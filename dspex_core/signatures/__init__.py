"""Signatures: the inputs and outputs of one task for a language model, with instructions. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import folder_of, submodules
from dspex_core.signatures.signature import (
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

__path__.append(folder_of(__name__))  # DSPy's submodules
if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
