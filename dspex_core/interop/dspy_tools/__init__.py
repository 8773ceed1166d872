"""What DSPy's users take from it beside programs: small tools for lists and texts. PYTEST_DONT_REWRITE

They do what DSPy's do; nothing else of the library uses them.
"""
