"""Language-model behaviour tests as pytest cases. PYTEST_DONT_REWRITE"""
