"""Atomic files, artifacts, and names of classes in them. PYTEST_DONT_REWRITE"""
