"""What bounds a call: time, tries, and requests a minute. PYTEST_DONT_REWRITE"""
