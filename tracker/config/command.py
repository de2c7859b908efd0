"""``reunite config``: print the settings, and say what they mean."""

import argparse
import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from rich.console import Console

from foundation.command import Command
from foundation.config import ConfigError, dump_config, present_key
from foundation.settings import Setting, as_yaml, settings_of
from tracker.config import RunConfig, load_config
from tracker.config.options import add_settings

MISSING = object()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    what = parser.add_argument_group(
        "what is printed", "Without these: every setting with its value, as YAML that --config reads"
    )
    one = what.add_mutually_exclusive_group()
    one.add_argument(
        "--explain",
        metavar="KEY",
        help="what a setting means, what may stand there, and what it is now; of a section, all in it",
    )
    one.add_argument(
        "--schema", action="store_true", help="the JSON schema of the configuration, for editors that check"
    )
    add_settings(parser, "tracking.max_lost_s=2")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print what was asked for."""
    if arguments.schema:
        text = json.dumps(RunConfig.model_json_schema(), indent=2)
    elif arguments.explain:
        text = "\n\n".join(explain(arguments.explain, arguments))
    else:
        text = dump_config(load_config(arguments.config, arguments.overrides)).rstrip("\n")
    console.print(text, soft_wrap=True)
    return 0


def explain(asked: str, arguments: argparse.Namespace) -> Iterator[str]:
    """What is known of each setting that a key, or the last words of it, may mean.

    Raises:
        ConfigError: No setting is meant, or the configuration cannot be read.
    """
    settings = settings_of(RunConfig)
    general = re.sub(r"(?<=\.)\d+(?=\.|$)", "N", asked)
    meant = [it for it in settings if it.key == general] or [
        it for it in settings if it.key.endswith(f".{general}")
    ]
    if not meant:
        if (now := present_key(RunConfig, asked)) != asked:
            raise ConfigError(f"{asked}: was renamed to {now!r}")
        keys = [it.key for it in settings]
        near = difflib.get_close_matches(general, [*keys, *(key.rpartition(".")[2] for key in keys)], n=1)
        way_out = f"did you mean {near[0]!r}?" if near else "reunite config prints all there are"
        raise ConfigError(f"{asked}: no such key, {way_out}")
    for setting in meant:
        if setting.is_section:
            below = re.compile(rf"{re.escape(setting.key)}(\.N)?\.[^.]+")
            listed = [_line(it) for it in settings if below.fullmatch(it.key)]
            yield "\n".join([f"{setting.key}: {setting.description}".rstrip(": "), *listed])
        else:
            key = asked if setting.key == general else setting.key
            yield "\n".join([_heading(setting, key), *_facts(setting, key, arguments)])


def _heading(setting: Setting, key: str) -> str:
    return f"{key}{f' ({setting.kind})' if setting.kind else ''}: {setting.description}"


def _line(setting: Setting) -> str:
    """One of the lines below a section."""
    return f"  {_heading(setting, setting.key).partition('. ')[0].rstrip('.')}"


def _facts(setting: Setting, key: str, arguments: argparse.Namespace) -> Iterator[str]:
    yield f"  type     {setting.type}"
    if setting.bounds:
        yield f"  bounds   {setting.bounds}"
    default = value_at(RunConfig(), key)
    yield f"  default  {setting.default if default is None else default[0] or 'none: it must be given'}"
    config = load_config(arguments.config, arguments.overrides)
    section, _, kind = setting.kind.partition("=")
    value = value_at(config, key)
    if value is not None and (not kind or (value_at(config, section) or ("", False))[0] == kind):
        yield f"  value    {value[0]}, from {origin(key, arguments) if value[1] else 'the defaults'}"


def value_at(config: RunConfig, key: str) -> tuple[str, bool] | None:
    """The value of a key as YAML, and whether it was said; None where this configuration has no such key."""
    tree: Any = config.model_dump(mode="json")
    place: Any = config
    is_said = True
    for step in key.split("."):
        if isinstance(place, BaseModel):
            is_said = is_said and step in place.model_fields_set
            place = getattr(place, step, MISSING)
        elif isinstance(place, tuple) and step.isdecimal() and int(step) < len(place):
            place = place[int(step)]
        else:
            place = MISSING
        if place is MISSING:
            return None
        tree = tree[int(step) if step.isdecimal() else step]
    return as_yaml(tree), is_said


def origin(key: str, arguments: argparse.Namespace) -> str:
    """Where a value that was said comes from: the last of the files, or ``--set``, that changed it."""
    paths = arguments.config
    value = value_at(load_config(paths, arguments.overrides), key)
    if not paths or value_at(load_config(paths), key) != value:
        return "--set"
    return next(str(path) for path in reversed(paths) if value_at(load_config(path), key) == value)


COMMAND = Command(
    name="config",
    description="Print the settings, or say what they mean, what may stand there, what stands there, and "
    "where that comes from.",
    examples=(
        "> my.yaml                                    all settings with their defaults",
        "--config association/bytetrack --set detector.kind=onnx",
        "--explain tracking.max_lost_s",
        "--explain tracking                           all settings of a section",
        "--schema > reunite.schema.json",
    ),
    add_arguments=add_arguments,
    run=run,
)
main = COMMAND.main
