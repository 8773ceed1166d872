"""`python -m dspex_core.serve`. PYTEST_DONT_REWRITE"""

import sys

from dspex_core.serve.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
