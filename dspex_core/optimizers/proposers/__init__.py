"""What writes instructions for optimizers to try. PYTEST_DONT_REWRITE"""
