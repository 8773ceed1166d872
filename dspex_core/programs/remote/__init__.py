"""Work in other processes, through any `concurrent.futures.Executor`. PYTEST_DONT_REWRITE"""
