"""What of a project that uses DSPy runs here, file by file (PYTEST_DONT_REWRITE)."""
