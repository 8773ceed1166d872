"""The search for the best of many candidates, which optimizers share. PYTEST_DONT_REWRITE"""
