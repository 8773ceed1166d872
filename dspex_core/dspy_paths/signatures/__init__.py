"""DSPy's submodules of `dspex_core.signatures`, on whose `__path__` this folder stands. PYTEST_DONT_REWRITE"""
