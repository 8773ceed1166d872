"""Reading values that a model has written as the types that are wanted. PYTEST_DONT_REWRITE"""
