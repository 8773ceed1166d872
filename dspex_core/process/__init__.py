"""Process-wide matters: forks, and the warnings of other libraries. PYTEST_DONT_REWRITE"""
