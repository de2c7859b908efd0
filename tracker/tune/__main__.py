"""python -m tracker.tune."""

import sys

from tracker.tune.command import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m tracker.tune"))
