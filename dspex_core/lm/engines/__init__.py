"""What makes one try of a call: over HTTP directly, or through LiteLLM. PYTEST_DONT_REWRITE"""
