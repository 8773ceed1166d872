"""DSPy's submodules of `dspy.datasets`. PYTEST_DONT_REWRITE"""
