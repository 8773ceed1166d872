"""Programs as services: over HTTP, and as tools of the Model Context Protocol (PYTEST_DONT_REWRITE)."""
