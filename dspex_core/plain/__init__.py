"""Values as plain data: which of them may be shown and stored. PYTEST_DONT_REWRITE"""
