"""DSPy's `dspy.signatures.signature`: signatures. PYTEST_DONT_REWRITE"""

from dspex_core.signature import Signature, SignatureMeta, ensure_signature, infer_prefix, make_signature

__all__ = ["Signature", "SignatureMeta", "ensure_signature", "infer_prefix", "make_signature"]
