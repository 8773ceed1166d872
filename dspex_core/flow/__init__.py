"""Flows: logic written once as a generator, driven sync or async. PYTEST_DONT_REWRITE"""
