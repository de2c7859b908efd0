"""The command that tries damaged inputs: it counts what it must, and some inputs of each kind hold."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import fuzz
from foundation.errors import ReuniteError


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_some_inputs_of_each_kind_end_in_an_answer_or_a_sentence(kind: str) -> None:
    for number in range(3):
        outcome, why = fuzz.try_one(kind, 0, number)
        assert outcome in ("answer", "sentence", "silent"), why


@pytest.mark.parametrize(
    ("error", "outcome"), [(ReuniteError("no"), "sentence"), (ValueError(), "traceback"), (None, "answer")]
)
def test_what_becomes_of_an_input(
    error: Exception | None, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def try_it(folder: Path, random: fuzz.Random) -> str:
        if error:
            raise error
        return "answer"

    monkeypatch.setattr(fuzz, "KINDS", {"yaml": try_it})
    assert fuzz.try_one("yaml", 0, 0)[0] == outcome


def test_an_input_is_made_again_alike() -> None:
    data = bytes(range(256)) * 8
    first, again, other = (fuzz.damage(data, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert first != data
