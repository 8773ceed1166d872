"""Files that a crash never leaves half written, and names of classes in them. PYTEST_DONT_REWRITE"""
