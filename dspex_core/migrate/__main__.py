"""`python -m dspex_core.migrate`. PYTEST_DONT_REWRITE"""

import os
import sys

from dspex_core.migrate.command import main

if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has enough; Python would write the rest again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
