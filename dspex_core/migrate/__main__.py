"""`python -m dspex_core.migrate`. PYTEST_DONT_REWRITE"""

import sys

from dspex_core.migrate.command import main

if __name__ == "__main__":
    sys.exit(main())
