"""Programs: modules that call language models. PYTEST_DONT_REWRITE"""
