"""The reports at the end of a session, each written from one model. PYTEST_DONT_REWRITE"""

from pytest_dspex.reports.model import Evaluation, Report, Suite

__all__ = ["Evaluation", "Report", "Suite"]
