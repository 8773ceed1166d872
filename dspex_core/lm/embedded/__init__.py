"""The embedded LM: its weights, its servers, and the router in front of them. PYTEST_DONT_REWRITE"""
