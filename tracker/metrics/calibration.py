"""What a run says of its own errors, to be compared with those it makes."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

from foundation.errors import ReuniteError


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a run said of its own errors, in ``calibration.json`` of its folder; fractions.

    Attributes:
        max_false_merge_rate: At most this share of strangers was to be taken for somebody.
        expected_false_merge_rate: The share that the run expected.
        expected_missed_rate: The share of returns that it expected to miss.
    """

    max_false_merge_rate: float
    expected_false_merge_rate: float
    expected_missed_rate: float


def read_calibration(file: Path) -> Calibration | None:
    """What a run said of its own errors; None where it did not, as in a ``calibration.json`` of cameras.

    Raises:
        ReuniteError: The file cannot be read, or a rate is missing or no fraction.
    """
    if not file.is_file():
        return None
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReuniteError(f"{file}: cannot be read: {error}") from None
    if not isinstance(stated, dict) or "max_false_merge_rate" not in stated:
        return None
    rates = []
    for field in fields(Calibration):
        rate = stated.get(field.name)
        if not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ReuniteError(f"{file}: {field.name} must be a fraction from 0 to 1, got {rate!r}")
        rates.append(float(rate))
    return Calibration(*rates)
