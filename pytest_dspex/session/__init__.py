"""The controller's view of a session, from its LM to its exit status. PYTEST_DONT_REWRITE"""
