"""Any value as plain data or as text, to show or store, and a text as a value. PYTEST_DONT_REWRITE"""
