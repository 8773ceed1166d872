"""Move a project to pytest-dspex: find its uses of DSPy, or convert another tool's cases (PYTEST_DONT_REWRITE)."""
