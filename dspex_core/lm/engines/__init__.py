"""Engines make single tries of calls: over HTTP directly, or through LiteLLM. PYTEST_DONT_REWRITE"""
