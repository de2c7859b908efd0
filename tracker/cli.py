"""The console script ``reunite``: one word for each command."""

import sys
from importlib import import_module

COMMANDS = {
    "track": ("tracker.run", "track the people in videos or live streams"),
    "evaluate": ("tracker.evaluate", "score results against ground truth: MOTA, IDF1, HOTA"),
    "tune": ("tracker.tune.command", "search better numbers for the tracker on sequences with ground truth"),
    "gallery": (
        "tracker.gallery.command",
        "list, merge, split and forget people who are remembered between runs",
    ),
    "search": ("tracker.search.command", "say who in a gallery is on a photo, when, where and how sure"),
    "ground": ("tracker.ground", "find out where on the ground the pixels of a camera are"),
    "simulate": ("tracker.simulate", "make a world of cameras and people with known identities"),
}


def main() -> int:
    """Hand the rest of the command line to the command that its first word names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in COMMANDS:
        module, _ = COMMANDS[name]
        return int(import_module(module).main(sys.argv[2:]))
    lines = "\n".join(f"  reunite {command:10} {purpose}" for command, (_, purpose) in COMMANDS.items())
    asked = name in ("-h", "--help")
    unknown = "" if asked or not name else f"reunite: no such command: {name}\n\n"
    print(f"{unknown}usage: reunite COMMAND ...\n\n{lines}\n\nreunite COMMAND --help says more.")
    return 0 if asked else 2
