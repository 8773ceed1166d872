"""Programs and their state as files. PYTEST_DONT_REWRITE"""
