"""Tokens and money: what calls take, what they may take, what they cost. PYTEST_DONT_REWRITE"""
