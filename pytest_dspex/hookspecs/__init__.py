"""The hooks that plugins and conftests may implement. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from pytest_dspex.hookspecs.specs import (
    pytest_dspex_lm,
    pytest_dspex_load_dataset,
    pytest_dspex_metrics,
    pytest_dspex_redact,
)

__all__ = ["pytest_dspex_lm", "pytest_dspex_load_dataset", "pytest_dspex_metrics", "pytest_dspex_redact"]
