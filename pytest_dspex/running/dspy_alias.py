"""The ini key `dspex_dspy_alias`: `import dspy` gives `dspex_core` in this session. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import pytest

from dspex_core import ConfigurationError
from dspex_core.plugin_api import alias_dspy


def begin(config: pytest.Config) -> None:
    """Make the alias, before any conftest is imported; it ends with the session.

    Raises:
        pytest.UsageError: DSPy itself is loaded already.
    """
    try:
        config.add_cleanup(alias_dspy())
    except ConfigurationError as error:
        raise pytest.UsageError(f"dspex_dspy_alias: {error}") from error
