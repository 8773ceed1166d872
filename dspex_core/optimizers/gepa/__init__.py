"""GEPA: instructions by reflection, through the `gepa` library. PYTEST_DONT_REWRITE"""
