"""The DSPy programming model, written natively: `import dspex_core as dspy`. PYTEST_DONT_REWRITE"""
