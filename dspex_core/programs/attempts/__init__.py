"""Programs that weigh several attempts at an answer. PYTEST_DONT_REWRITE"""
