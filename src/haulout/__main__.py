"""`python -m haulout`: the command line."""

import sys

from haulout.cli import main

sys.exit(main())
