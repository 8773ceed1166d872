"""Agents: programs that call tools in turns. PYTEST_DONT_REWRITE"""
