"""Programs of other libraries, run and converted (PYTEST_DONT_REWRITE)."""
