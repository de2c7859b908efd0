"""YAML and ``key=value`` to a RunConfig, with every problem at once."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from tracker.config.sections import RunConfig
from tracker.errors import ReuniteError
from tracker.passwords import mask_logins


class ConfigError(ReuniteError):
    """A configuration that cannot be used; the message lists every problem at once."""


def load_config(path: Path | Sequence[Path] | None = None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read YAML files, apply ``key.key=value`` overrides (values are YAML), check all of it.

    Args:
        path: The file, or several, of which a later one replaces whole sections of those before it; None
            takes the defaults.
        overrides: For example ``tracking.max_lost_s=2`` or ``detector={kind: onnx}``.

    Raises:
        ConfigError: The file cannot be read, or with every problem in it, each on its own line.
    """
    paths = [path] if isinstance(path, Path) else path or []
    values: dict[str, Any] = {}
    for file in paths:
        values.update(_read_yaml(file))
    for override in sorted(overrides, key=lambda it: not it.partition("=")[0].strip().endswith(".kind")):
        _apply_override(values, override)
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        problems = [_describe(problem) for problem in error.errors()]
    else:
        problems = [f"{key}: a number is needed, got {value}" for key, value in _truths(values, config)]
        if not problems:
            return config
    name = " with ".join(map(str, paths)) or "configuration"
    raise ConfigError("\n  ".join([f"{name}: {len(problems)} problem(s)", *problems]))


def dump_config(config: RunConfig) -> str:
    """The whole configuration as YAML that ``load_config`` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def with_values(config: RunConfig, values: Mapping[str, float]) -> RunConfig:
    """The same configuration with other values under some keys of `tunable_values`, checked.

    Raises:
        ValueError: A value is not allowed.
    """
    tree = config.model_dump()
    for key, value in values.items():
        *parents, last = key.split(".")
        place: Any = tree
        for step in parents:
            place = place[step] if isinstance(place, dict) else place[int(step)]
        place[last] = value
    return RunConfig.model_validate(tree)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError(f"{path}: cannot read the configuration: {reason}") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {mask_logins(' '.join(str(error).split()))}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold 'key: value' lines, got a {type(values).__name__}")
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    shown = mask_logins(override)
    if not equals or not key.strip():
        raise ConfigError(f"--set {shown}: write key=value, for example --set tracking.max_lost_s=2")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {shown}: the value is not YAML") from None
    *parents, last = key.strip().split(".")
    section = values
    for parent in parents:
        below = section.setdefault(parent, {})
        if not isinstance(below, dict):
            value_shown = mask_logins(repr(below))
            raise ConfigError(f"--set {shown}: {parent!r} is set to {value_shown} and has no keys below it")
        section = below
    if last == "kind" and section.get("kind", value) != value:
        section.clear()  # the file's other keys belong to its kind
    section[last] = value


def _truths(value: Any, checked: Any, where: str = "") -> Iterator[tuple[str, bool]]:
    """Keys whose value is YAML's true, false, yes or no and passed as a number."""
    if isinstance(value, bool) and not isinstance(checked, bool):
        yield where.lstrip("."), value
    elif isinstance(value, dict) and isinstance(checked, BaseModel):
        for key, below in value.items():
            yield from _truths(below, getattr(checked, key), f"{where}.{key}")
    elif isinstance(value, list) and isinstance(checked, tuple):
        for index, (below, kept) in enumerate(zip(value, checked, strict=False)):
            yield from _truths(below, kept, f"{where}.{index}")


def _describe(problem: Any) -> str:
    where = ".".join(_typed_keys(problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = _known_keys(RunConfig, problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        return f"{where}: no such key, " + (
            f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        )
    return f"{where}: {problem['msg']}, got {mask_logins(repr(problem['input']))}"


def _typed_keys(path: Sequence[int | str]) -> list[str]:
    """The keys as a user types them: pydantic puts the kind of a section between its name and its keys."""
    keys = [str(part) for part in path]
    if len(keys) > 2 and keys[0] in ("detector", "embedder", "camera_motion"):
        del keys[1]
    return keys


def _known_keys(section: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """Field names of the section that ``path`` leads to; a union's tag is a step of the path."""
    if not path:
        return list(section.model_fields)
    step, *rest = path
    annotation: Any = section.model_fields[str(step)].annotation
    kinds = _section_types(annotation)
    if rest and len(kinds) > 1:
        tag, *rest = rest
        kinds = [kind for kind in kinds if kind.model_fields["kind"].default == tag]
    rest = [part for part in rest if not isinstance(part, int)]
    return _known_keys(kinds[0], rest) if kinds else []


def _section_types(annotation: Any) -> list[type[BaseModel]]:
    """The sections inside an annotation such as ``A | B``, ``tuple[A, ...]`` or ``Annotated[A | B, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, Annotated, tuple, list):
        return [kind for part in get_args(annotation) for kind in _section_types(part)]
    return []
