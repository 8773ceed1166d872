"""DSPy's `dspy.utils.logging_utils`. PYTEST_DONT_REWRITE"""

from dspex_core.telemetry.logs import configure_dspy_loggers, disable_logging, enable_logging

__all__ = ["configure_dspy_loggers", "disable_logging", "enable_logging"]
