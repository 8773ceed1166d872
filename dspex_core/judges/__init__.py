"""Judges: metrics that ask a language model. PYTEST_DONT_REWRITE"""
