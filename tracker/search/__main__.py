"""python -m tracker.search."""

import sys

from tracker.search.command import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m tracker.search"))
