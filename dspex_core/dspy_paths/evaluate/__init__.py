"""DSPy's submodules of `dspex_core.evaluate`, on whose `__path__` this folder stands. PYTEST_DONT_REWRITE"""
