"""Programs that let the model write code. PYTEST_DONT_REWRITE"""
