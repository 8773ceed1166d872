"""Usage, budgets and prices of calls. PYTEST_DONT_REWRITE"""
