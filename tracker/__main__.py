"""python -m tracker."""

from foundation.command import leave
from tracker.cli import main

if __name__ == "__main__":
    leave(main(prog="python -m tracker"))
