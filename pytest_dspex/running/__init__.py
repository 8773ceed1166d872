"""The plugin's work around each running test. PYTEST_DONT_REWRITE"""
