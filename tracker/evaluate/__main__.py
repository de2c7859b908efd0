"""python -m tracker.evaluate."""

import sys

from tracker.evaluate.command import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m tracker.evaluate"))
