"""DSPy's `dspy.propose.grounded_proposer`. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import GroundedProposer

__all__ = ["GroundedProposer"]
