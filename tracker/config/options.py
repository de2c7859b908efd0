"""The options ``--config`` and ``--set``, of every command that reads a configuration."""

import argparse
from pathlib import Path

from foundation.config_names import config_names
from tracker.config import CONFIGS_OF_RUNS


def add_settings(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the options, under ``config`` (a list of paths or names) and ``overrides``."""
    group = parser.add_argument_group("settings", "All there are: reunite config")
    group.add_argument(
        "--config",
        type=Path,
        action="append",
        default=[],
        metavar="NAME|YAML",
        help="a configuration that ships, by its name, or a file of your own; given again, sections of the "
        f"later one replace those of the earlier one. Names: {', '.join(config_names(CONFIGS_OF_RUNS))}",
    )
    group.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"change one setting, for example {example}; may be given again",
    )
