"""Turning the library's log on and off, by DSPy's names. PYTEST_DONT_REWRITE

The library logs to `dspex` and leaves handlers and levels to the application.
"""

from __future__ import annotations

import logging

_LITELLM = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")  # how it names its loggers


def enable_logging() -> None:
    """Turn the library's log on."""
    logging.getLogger("dspex").disabled = False


def disable_logging() -> None:
    """Turn the library's log off."""
    logging.getLogger("dspex").disabled = True


def enable_litellm_logging() -> None:
    """Let LiteLLM log everything that it does."""
    for name in _LITELLM:
        logging.getLogger(name).setLevel(logging.DEBUG)


def disable_litellm_logging() -> None:
    """Let LiteLLM log errors only."""
    for name in _LITELLM:
        logging.getLogger(name).setLevel(logging.ERROR)


def configure_dspy_loggers(root_module_name: str) -> None:
    """Show a logger's messages from `INFO` on, on stderr, as DSPy does for its own.

    Args:
        root_module_name: The logger; the library's is `"dspex"`.
    """
    logger = logging.getLogger(root_module_name)
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
