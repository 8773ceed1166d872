"""What a session says at its end, each report written from one model. PYTEST_DONT_REWRITE"""

from pytest_dspex.reports.model import Evaluation, Report, Suite

__all__ = ["Evaluation", "Report", "Suite"]
