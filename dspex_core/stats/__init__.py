"""How sure a score is: intervals, paired tests, and the drop that a test can see. PYTEST_DONT_REWRITE"""
