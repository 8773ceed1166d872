"""Evaluation: a program scored on a dataset. PYTEST_DONT_REWRITE"""
