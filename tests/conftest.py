"""What all tests share."""

from hypothesis import settings

pytest_plugins = ["pytester"]

# The same examples in every run, and no deadline: CI machines stall now and then.
settings.register_profile("dspex", deadline=None, derandomize=True)
settings.load_profile("dspex")
