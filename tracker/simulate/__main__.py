"""python -m tracker.simulate."""

import sys

from tracker.simulate.command import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m tracker.simulate"))
