"""The prior of the similarity calibration that belongs to weights: in the file, or known by its name."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError

PRIOR_KEY = "prior"
"""In the metadata of our ``.safetensors``: a `CosinePrior` as JSON."""

KNOWN: Mapping[str, CosinePrior] = {
    "person-reidentification-retail-0277": CosinePrior(
        mean_different=-0.024,
        sd_different=0.119,
        look_alikes=0.027,
        more_of_look_alikes=0.049,
        sd_of_look_alikes=0.23,
        mean_same=0.76,
        sd_same=0.11,
        mean_within=0.762,
        sd_within=0.104,
    ),
    "lomo-1024": CosinePrior(
        mean_different=-0.023,
        sd_different=0.111,
        look_alikes=0.077,
        more_of_look_alikes=0.051,
        sd_of_look_alikes=0.197,
        mean_same=0.304,
        sd_same=0.151,
        mean_within=0.279,
        sd_within=0.129,
    ),
}
"""Of what has no weights of ours, by the name of its file: ``reunite judge --prior`` on the 200 people of
Market-1501 whom none of ours was trained on; the network in 8 bits."""


def find_prior(path: Path) -> CosinePrior | None:
    """What cosines of these weights mean; None where nothing says it.

    An export has that of the ``.safetensors`` of the same name beside it.

    Raises:
        ReuniteError: What the file says of it is damaged.
    """
    ours = path.with_suffix(".safetensors")
    try:
        with safe_open(ours, framework="np") as file:
            text = (file.metadata() or {}).get(PRIOR_KEY)
    except (OSError, SafetensorError):
        text = None  # there is none, or it is not what is opened
    if text is None:
        return KNOWN.get(path.stem)
    try:
        return CosinePrior.from_dict(json.loads(text))
    except ValueError as error:
        raise ReuniteError(
            f"{ours}: what it says of its cosines is damaged ({error}); write it anew with: "
            f"reunite judge {ours.name} --data KIND=PATH --prior --write"
        ) from None
