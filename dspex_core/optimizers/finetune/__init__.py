"""Training data for the weights of LMs, and jobs that train them. PYTEST_DONT_REWRITE"""
