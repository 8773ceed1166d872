"""Conversion of a model's text to the expected types. PYTEST_DONT_REWRITE"""
