"""From datasets and markers to test items. PYTEST_DONT_REWRITE"""
