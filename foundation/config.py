"""YAML and ``key=value`` to one checked, frozen object, with every problem at once."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from foundation.errors import ReuniteError
from foundation.passwords import mask_logins


class ConfigError(ReuniteError):
    """A configuration that cannot be used; the message lists every problem at once."""


class Section(BaseModel):
    """A part of a configuration: unknown keys are refused, values are frozen.

    The text below a setting is its description, also in the JSON schema.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    renamed: ClassVar[Mapping[str, str]] = {}
    """Former names of settings of this section, and their present ones, for whoever still writes those."""


Whole = TypeVar("Whole", bound=Section)


def read_config(schema: type[Whole], paths: Sequence[Path], overrides: Sequence[str] = ()) -> Whole:
    """Read YAML files, apply ``key.key=value`` overrides (values are YAML), check all of it.

    Args:
        schema: The section that is the whole configuration.
        paths: Files, of which a later one replaces whole sections of those before it; none: the defaults.
        overrides: For example ``tracking.max_lost_s=2`` or ``detector={kind: onnx}``. Another ``kind`` than
            the file's takes the place of all that the file says there.

    Raises:
        ConfigError: A file cannot be read, or with every problem in them, each on its own line.
    """
    values: dict[str, Any] = {}
    for path in paths:
        values.update(_read_yaml(path))
    for override in sorted(overrides, key=lambda it: not it.partition("=")[0].strip().endswith(".kind")):
        _apply_override(values, override)
    try:
        config = schema.model_validate(values)
    except ValidationError as error:
        problems = [_describe(schema, problem) for problem in error.errors()]
    else:
        problems = [f"{key}: a number is needed, got {value}" for key, value in _truths(values, config)]
        if not problems:
            return config
    name = " with ".join([*map(str, paths), *(["--set"] if paths and overrides else [])]) or "configuration"
    raise ConfigError("\n  ".join([f"{name}: {len(problems)} problem(s)", *problems]))


def parse_yaml(text: str) -> Any:
    """What YAML text says.

    Raises:
        ValueError: It is not YAML, or holds a date or number that cannot be; the message says what.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # PyYAML lets them through
        raise ValueError(f"a value cannot be read: {error}") from None


def dump_config(config: Section) -> str:
    """The whole configuration as YAML that `read_config` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError(f"{path}: cannot read the configuration: {reason}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: is not YAML: {mask_logins(str(error))}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold 'key: value' lines, got a {type(values).__name__}")
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    shown = mask_logins(override)
    if not equals or not key.strip():
        raise ConfigError(f"--set {shown}: write key=value, the keys as in the file with dots between them")
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"--set {shown}: the value is not YAML: {mask_logins(str(error))}") from None
    *parents, last = key.strip().split(".")
    section = values
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        below = section[parent]
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
    elif isinstance(value, dict) and isinstance(checked, dict):
        for key, below in value.items():
            yield from _truths(below, checked.get(key), f"{where}.{key}")
    elif isinstance(value, list) and isinstance(checked, tuple):
        for index, (below, kept) in enumerate(zip(value, checked, strict=False)):
            yield from _truths(below, kept, f"{where}.{index}")


def _describe(schema: type[Section], problem: Any) -> str:
    kind, path = problem["type"], problem["loc"]
    keys, sections = _follow(schema, path[:-1] if kind == "extra_forbidden" else path)
    if kind == "extra_forbidden":
        keys.append(str(path[-1]))
        if (now := _present_name(keys[-1], sections)) is not None:
            return f"{'.'.join(keys)}: was renamed to {now!r}"
        known = [name for section in sections for name in section.model_fields]
        near = [*difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5), *_below(keys[-1], sections)]
        way_out = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        wrong = f"no such key, {way_out}"
    elif kind == "value_error":  # our own sentences; those about several sections name them
        wrong = str(problem["ctx"]["error"])
    elif kind == "missing":
        wrong = "must be set"
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        keys.append("kind")
        got = problem["input"].get("kind") if isinstance(problem["input"], dict) else problem["input"]
        wrong = f"must be one of {', '.join(map(_kind_of, sections))}, got {mask_logins(repr(got))}"
    else:
        wrong = f"{problem['msg']}, got {mask_logins(repr(problem['input']))}"
    return ": ".join(part for part in (".".join(keys), wrong) if part)


def present_key(schema: type[Section], key: str) -> str:
    """The key that a former one is called now; any other stays as it is."""
    steps: list[str] = []
    for step in key.split("."):
        _, sections = _follow(schema, steps)
        steps.append(_present_name(step, sections) or step)
    return ".".join(steps)


def _present_name(name: str, sections: Sequence[type[Section]]) -> str | None:
    return next((section.renamed[name] for section in sections if name in section.renamed), None)


def _below(name: str, sections: Sequence[type[Section]]) -> list[str]:
    """Where a setting stands for which a section was left out."""
    return [
        f"{section}.{name}"
        for above in sections
        for section, field in above.model_fields.items()
        for below in _sections_in(field.annotation)
        if name in below.model_fields
    ]


def _follow(schema: type[Section], path: Sequence[int | str]) -> tuple[list[str], list[type[Section]]]:
    """The keys of a path as a user types them, and the sections that may stand at its end.

    pydantic puts the kind of a section between the section's name and its keys.
    """
    keys: list[str] = []
    sections: list[type[Section]] = [schema]
    is_named = False  # the step before was a mapping, and the next is a name that the user chose
    for step in path:
        if is_named:
            keys.append(str(step))
            is_named = False
            continue
        if len(sections) > 1 and isinstance(step, str):
            sections = [section for section in sections if _kind_of(section) == step]
            continue
        keys.append(str(step))
        if isinstance(step, str):
            fields = sections[0].model_fields if sections else {}
            annotation = fields[step].annotation if step in fields else None
            sections, is_named = _sections_in(annotation), get_origin(annotation) is dict
    return keys, sections


def _kind_of(section: type[Section]) -> str:
    return str(section.model_fields["kind"].default)


def _sections_in(annotation: Any) -> list[type[Section]]:
    """The sections inside an annotation such as ``A | B``, ``tuple[A, ...]`` or ``dict[str, A]``."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, Annotated, tuple, list, dict):
        return [section for part in get_args(annotation) for section in _sections_in(part)]
    return []
