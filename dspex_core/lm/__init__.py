"""Language models: the contract, two engines, the embedded LM, scripted ones, the cache. PYTEST_DONT_REWRITE"""
