"""Choosing the demos of a call by its inputs. PYTEST_DONT_REWRITE"""
