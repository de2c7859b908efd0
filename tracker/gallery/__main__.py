"""python -m tracker.gallery."""

import sys

from tracker.gallery.command import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m tracker.gallery"))
