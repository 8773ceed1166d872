"""Living with other libraries. PYTEST_DONT_REWRITE"""
