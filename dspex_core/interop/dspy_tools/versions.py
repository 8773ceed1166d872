"""The versions on which a saved program depends. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys
from importlib import metadata


def get_dependency_versions() -> dict[str, str]:
    """Return the versions of Python, of this library and of cloudpickle, by name."""
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "pytest-dspex": metadata.version("pytest-dspex"),
        "cloudpickle": ".".join(metadata.version("cloudpickle").split(".")[:2]),
    }
