"""The reports at the end of a session, each written from one model. PYTEST_DONT_REWRITE"""
