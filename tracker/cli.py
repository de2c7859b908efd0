"""The console script ``reunite``, also ``python -m tracker``: one word for each command."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from foundation.command import (
    EXIT_CODES,
    EXIT_USAGE,
    Command,
    Parser,
    did_you_mean,
    installed_version,
    leave,
    run_command,
)

COMMANDS = {
    "live": "track live cameras, and show everybody in a browser",
    "track": "track the people in videos or live streams",
    "evaluate": "score results against ground truth: HOTA, MOTA, IDF1",
    "search": "say who of a gallery is on a photo, when, where and how sure",
    "gallery": "list, merge, split and forget people who are remembered between runs",
    "ground": "find out where on the ground the pixels of a camera are",
    "simulate": "make a world of cameras and people with known identities",
    "tune": "search better numbers for the tracker on sequences with ground truth",
    "train": "train a network that tells people apart",
    "judge": "judge such a network: rank-1, mAP, mINP",
    "export": "write such a network as ONNX, OpenVINO or TorchScript",
    "embed": "write the embeddings of people",
    "explain": "draw why two pictures show one person to such a network",
    "user": "say who may sign in to the live application",
    "config": "print the settings, and say what they mean",
}
"""What each is for, in the order of the help."""


def load_command(name: str) -> Command:
    """The command of a name of `COMMANDS`; it alone is imported, so that every start is quick.

    Raises:
        ModuleNotFoundError: It needs an extra that is not installed.
    """
    match name:
        case "live":
            from tracker.live.command import COMMAND
        case "user":
            from tracker.live.users import COMMAND
        case "track":
            from tracker.run import COMMAND
        case "evaluate":
            from tracker.evaluate.command import COMMAND
        case "search":
            from tracker.search.command import COMMAND
        case "gallery":
            from tracker.gallery.command import COMMAND
        case "ground":
            from tracker.ground import COMMAND
        case "simulate":
            from tracker.simulate.command import COMMAND
        case "tune":
            from tracker.tune.command import COMMAND
        case "train":
            from reid.train import COMMAND
        case "judge":
            from reid.evaluate import COMMAND
        case "export":
            from reid.export import COMMAND
        case "embed":
            from reid.embed import COMMAND
        case "explain":
            from reid.explain import COMMAND
        case _:
            from tracker.config.command import COMMAND
    return COMMAND


def main(argv: Sequence[str] | None = None, prog: str = "reunite") -> int:
    """Run the command that the first word names, with the rest of the line; its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words and words[0] in COMMANDS:
        return run_command(lambda: load_command(words[0]), words[1:], f"{prog} {words[0]}")
    parser = make_parser(prog)
    if not words:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    if not words[0].startswith("-"):
        known = did_you_mean(words[0], COMMANDS) or f", there are {', '.join(COMMANDS)}"
        parser.error(f"no such command: {words[0]}{known}")
    parser.parse_args(words)  # ends with the help, the version or an error
    return EXIT_USAGE


def console_script() -> NoReturn:
    """What ``reunite`` starts."""
    leave(main())


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line in front of the commands' own."""
    parser = Parser(
        prog=prog,
        description="People in, over many cameras, each with one identity.",
        epilog="examples:\n  %(prog)s track videos/ --config embedded --save-video\n"
        f"  %(prog)s evaluate runs/track --gt videos/ --many-cameras\n\n{EXIT_CODES}\n"
        "%(prog)s COMMAND --help says more.",
    )
    parser.add_argument("--version", action="version", version=f"reunite {installed_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose)
    return parser
