"""A disk without room, for this process: a file cannot grow beyond a size."""

import contextlib
import resource


@contextlib.contextmanager
def files_of_at_most(size):
    """Let each file of this process have at most so many bytes; what is written beyond them is an OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
