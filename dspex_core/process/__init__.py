"""What concerns the whole process: forks, and the warnings of other libraries. PYTEST_DONT_REWRITE"""
