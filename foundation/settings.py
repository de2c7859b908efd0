"""What can be set, read from the JSON schema of a configuration: keys and what is known of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from foundation.config import Section

BOUNDS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "above {}",
    "maximum": "{} or less",
    "exclusiveMaximum": "below {}",
    "minLength": "{} letter(s) or more",
    "minItems": "{} part(s) or more",
    "pattern": "matches {}",
}
"""How a bound of a JSON schema is told."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a configuration.

    Attributes:
        key: As it is typed; the place of a part in a list is written ``N``.
        kind: Where its section may be of several kinds, the one that has it, as in ``detector.kind=file``.
        description: What it means.
        type: What may stand there.
        bounds: What limits it; empty where nothing does.
        default: What holds without it, as YAML; empty where it must be given, and of a section.
        is_section: Whether other keys are below it.
    """

    key: str
    kind: str
    description: str
    type: str
    bounds: str
    default: str
    is_section: bool


def settings_of(schema: type[Section]) -> list[Setting]:
    """Every key of a configuration, in its order; each section before what it holds."""
    whole = schema.model_json_schema()
    return list(_settings_below(whole, whole["$defs"]))


def _settings_below(
    section: Mapping[str, Any], sections: Mapping[str, Any], parent: str = "", kind: str = ""
) -> Iterator[Setting]:
    for name, field in section["properties"].items():
        key, branches = f"{parent}{name}", field.get("oneOf") or field.get("anyOf") or [field]
        is_list = "items" in field
        below = [
            sections[branch["$ref"].rpartition("/")[2]]
            for branch in ([field["items"]] if is_list else branches)
            if "$ref" in branch
        ]
        # A kind means what its section means; so does the key of a section of one kind.
        says = section if name == "kind" else below[0] if len(below) == 1 else {}
        yield Setting(
            key=key,
            kind=kind,
            description=" ".join(
                field.get("description", says.get("description", "")).replace("``", "").split()
            ),
            type=" or ".join(_type_of(branch) for branch in branches),
            bounds=", ".join(
                text.format(_number(branch[it]))
                for branch in branches
                for it, text in BOUNDS.items()
                if it in branch
            ),
            default=as_yaml(field["default"]) if "default" in field and not below else "",
            is_section=bool(below),
        )
        for part in below:
            own = f"{key}.kind={part['properties']['kind']['const']}" if len(below) > 1 else kind
            yield from _settings_below(part, sections, f"{key}.N." if is_list else f"{key}.", own)


def as_yaml(value: Any) -> str:
    """A value as it stands behind ``--set KEY=``."""
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True).removesuffix("\n...\n").strip()


def _type_of(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return f"one of {', '.join(map(str, field['enum']))}"
    if "const" in field:
        return str(field["const"])
    if "$ref" in field:
        return "section"
    if "items" in field:
        return f"list of {_type_of(field['items'])}"
    if "additionalProperties" in field and isinstance(field["additionalProperties"], dict):
        return f"for each name {_type_of(field['additionalProperties'])}"
    if "anyOf" in field:
        return " or ".join(map(_type_of, field["anyOf"]))
    if field.get("format") == "date-time":
        return "date and time"
    if "prefixItems" in field:
        return f"list of {len(field['prefixItems'])} x {_type_of(field['prefixItems'][0])}"
    names = {"string": "text", "boolean": "true or false", "integer": "whole number", "array": "list"}
    return names.get(field["type"], str(field["type"]))


def _number(bound: object) -> object:
    """A whole number without a fraction: some versions of pydantic write 0.0 for 0."""
    return f"{bound:.0f}" if isinstance(bound, float) and bound.is_integer() else bound
