"""YAML and ``key=value`` to a TrainConfig, with every problem at once."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from reid.config.sections import TrainConfig
from reid.errors import ReidError


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read and check a configuration.

    Args:
        path: The file.
        overrides: For example ``batch.people=16`` or ``average={kind: ema}``.

    Raises:
        ReidError: The file cannot be read, or with every problem in it, each on its own line.
    """
    values = _read_yaml(path)
    for override in overrides:
        _apply_override(values, override)
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        problems = [_describe(problem) for problem in error.errors()]
        raise ReidError("\n  ".join([f"{path}: {len(problems)} problem(s)", *problems])) from None


def dump_config(config: TrainConfig) -> str:
    """The whole configuration as YAML that `load_config` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ReidError(f"{path}: cannot read the configuration: {reason}") from None
    except yaml.YAMLError as error:
        raise ReidError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ReidError(f"{path}: must hold 'key: value' lines, got a {type(values).__name__}")
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ReidError(f"--set {override}: write key=value, for example --set schedule.epochs=60")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ReidError(f"--set {override}: {text!r} is not a YAML value") from None
    *parents, last = key.strip().split(".")
    section = values
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        below = section[parent]
        if not isinstance(below, dict):
            raise ReidError(f"--set {override}: {parent!r} is set to {below!r} and has no keys below it")
        section = below
    section[last] = value


def _describe(problem: Any) -> str:
    where = ".".join(_typed_keys(problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = _known_keys(TrainConfig, problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        return f"{where}: no such key, " + (
            f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        )
    if problem["type"] == "value_error":  # our own sentences; those about several sections name them
        return ": ".join(part for part in (where, str(problem["ctx"]["error"])) if part)
    if problem["type"] == "missing":
        return f"{where}: must be set"
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        kinds = _section_types(TrainConfig.model_fields[where].annotation)
        known = [kind.model_fields["kind"].default for kind in kinds]
        return f"{where}.kind: must be one of {', '.join(known)}, got {problem['input']!r}"
    return f"{where}: {problem['msg']}, got {problem['input']!r}"


def _typed_keys(path: Sequence[int | str]) -> list[str]:
    """The keys as a user types them: pydantic puts the kind of a section between its name and its keys."""
    keys = [str(part) for part in path]
    if len(keys) > 2 and keys[0] in ("optimiser", "schedule", "average"):
        del keys[1]
    return keys


def _known_keys(section: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """Field names of the section that ``path`` leads to; a union's tag is a step of the path."""
    if not path:
        return list(section.model_fields)
    step, *rest = path
    kinds = _section_types(section.model_fields[str(step)].annotation)
    if rest and len(kinds) > 1:
        tag, *rest = rest
        kinds = [kind for kind in kinds if kind.model_fields["kind"].default == tag]
    return _known_keys(kinds[0], rest) if kinds else []


def _section_types(annotation: Any) -> list[type[BaseModel]]:
    """The sections inside an annotation such as ``A | B`` or ``Annotated[A | B, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return [kind for part in get_args(annotation) for kind in _section_types(part)]
    return []
