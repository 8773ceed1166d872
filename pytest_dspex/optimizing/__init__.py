"""`--dspex-optimize`: programs recompiled before the tests that use them. PYTEST_DONT_REWRITE"""
