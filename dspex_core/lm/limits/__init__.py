"""Limits on a call: time, retries, and requests per minute. PYTEST_DONT_REWRITE"""
