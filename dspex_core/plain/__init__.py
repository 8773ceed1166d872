"""Conversion of values to plain data, to show or store. PYTEST_DONT_REWRITE"""
