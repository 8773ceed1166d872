"""Gates: the score that the cases of a test must reach. PYTEST_DONT_REWRITE"""
