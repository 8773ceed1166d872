"""DSPy's `dspy.teleprompt.bootstrap_trace`: runs of a program with their traces. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.traced_runs import FailedPrediction, TraceData, bootstrap_trace_data

__all__ = ["FailedPrediction", "TraceData", "bootstrap_trace_data"]
