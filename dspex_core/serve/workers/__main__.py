"""`python -m dspex_core.serve.workers DESCRIPTOR`: a worker, which its service starts. PYTEST_DONT_REWRITE"""

import sys

from dspex_core.serve.workers.worker import main

if __name__ == "__main__":
    main(int(sys.argv[1]))
