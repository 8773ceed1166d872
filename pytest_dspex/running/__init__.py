"""What goes on around each test while it runs. PYTEST_DONT_REWRITE"""
