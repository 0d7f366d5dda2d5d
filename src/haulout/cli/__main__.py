"""`python -m haulout.cli`, for where the `haulout` script is not on the path."""

from haulout.cli import main

main()
