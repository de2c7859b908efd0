"""Which settings may be searched, and within what: ranges stated where the fields are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

Whole = TypeVar("Whole", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Tunable:
    """The range in which ``tracker.tune`` searches a number.

    A field states it in its annotation: ``max_lost_s: Annotated[float, Tunable(0.3, 10, log=True)] = ...``.
    Every value of it must be allowed beside every value of the others.

    Attributes:
        low, high: Both included.
        log: Search evenly in the logarithm, for numbers that matter by their ratio.
        appearance: It matters only where there are embeddings.
    """

    low: float
    high: float
    log: bool = False
    appearance: bool = False


def tunable_values(section: BaseModel, parent: str = "") -> Iterator[tuple[str, Tunable, float]]:
    """Key, range and present value of every number below this section that states a range.

    Keys are those of the YAML; a part of a list has its place from 0: ``tracking.stages.0.max_cost``. A
    number that is None is switched off and left out.
    """
    for name, field in type(section).model_fields.items():
        key, value = f"{parent}{name}", getattr(section, name)
        if value is not None:
            yield from ((key, mark, value) for mark in field.metadata if isinstance(mark, Tunable))
        if isinstance(value, BaseModel):
            yield from tunable_values(value, f"{key}.")
        elif isinstance(value, tuple):
            for index, part in enumerate(value):
                if isinstance(part, BaseModel):
                    yield from tunable_values(part, f"{key}.{index}.")


def with_values(section: Whole, values: Mapping[str, float]) -> Whole:
    """The same section with other values under some keys of `tunable_values`, checked.

    Raises:
        ValueError: A value is not allowed.
    """
    tree = section.model_dump()
    for key, value in values.items():
        *parents, last = key.split(".")
        place: Any = tree
        for step in parents:
            place = place[step] if isinstance(place, dict) else place[int(step)]
        place[last] = value
    return type(section).model_validate(tree)
