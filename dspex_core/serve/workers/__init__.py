"""Programs in worker processes that are watched and replaced (PYTEST_DONT_REWRITE)."""
