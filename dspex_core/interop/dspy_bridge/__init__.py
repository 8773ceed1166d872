"""DSPy's own programs, LMs and optimizers beside ours (PYTEST_DONT_REWRITE)."""
