"""Cassettes: recorded LM calls beside the tests, replayed without a key or a network. PYTEST_DONT_REWRITE"""
