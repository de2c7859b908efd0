"""What is minimised: parts by name, each a loss, the outputs of the network that it acts on, and a weight."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from foundation.config import Section

LossKind = Literal[
    "cross_entropy",
    "batch_soft_triplet",
    "batch_hard_triplet",
    "triplet",
    "improved_triplet",
    "quadruplet",
    "contrastive",
    "margin_sample_mining",
    "ranking",
    "centre",
    "aligned_triplet",
    "tracklet_triplet",
    "attributes",
    "attribute_triplet",
    "key_points",
]
"""Functions of `reid.losses`; `reid.objective` says what each is given."""

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "cross_entropy": ("smoothing", "scale"),
    "centre": ("rate",),
    "attributes": (),
    "attribute_triplet": ("margin", "scale"),
    "key_points": (),
}
"""What can be set of a kind beside outputs and weight; all others have a margin."""

NO_MARGIN = ("batch_soft_triplet", "batch_hard_triplet", "tracklet_triplet")
"""They do without one, as softplus."""

NEEDS: Mapping[str, str] = {
    "aligned_triplet": "stripes",
    "tracklet_triplet": "quality",
    "attributes": "attributes",
    "attribute_triplet": "attributes",
    "key_points": "key_points",
}
"""What a network must give for a loss beside features: `parts` of `reid.models.part_network`."""

NEEDS_LABELS = ("attributes", "key_points")
"""Losses that learn from labels of the same name, beside who is on a picture."""


class LossConfig(Section):
    """One part of what is minimised: the mean of a loss over some outputs of the network."""

    kind: LossKind
    """A function of `reid.losses`. Left out it is the name of the part; of ``metric``, batch_soft_triplet."""

    outputs: tuple[str, ...] = ()
    """Names of heads, stages or parts of the network, as its file in `reid.models` lists them; none is every
    one that the loss can act on: logits for cross_entropy, features for the others."""

    weight: float = Field(default=1.0, ge=0)
    """Its share in the loss; 0 leaves it out. Bag of Tricks takes 0.0005 for centre."""

    from_epoch: float = Field(default=0.0, ge=0)
    """It counts from then on."""

    until_epoch: float | None = Field(default=None, gt=0)
    """It counts until then; null is to the end. Classification before ranking, for example."""

    margin: float | None = Field(default=None, gt=0)
    """Distance by which others must be farther away; null is softplus, in the batch and tracklet triplets."""

    smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Of the labels of cross_entropy; 0.1 as in Bag of Tricks (Luo et al. 2019, arXiv:1903.07071)."""

    scale: float = Field(default=1.0, gt=0)
    """Logits are multiplied by it. A feature of length 1 moves them little; 16 lets it be sure at once. Of
    attribute_triplet: what attributes count beside features."""

    rate: float = Field(default=0.5, gt=0, le=1)
    """How far a centre moves to the pictures of a batch (Wen et al. 2016)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        own = SETTINGS.get(self.kind, ("margin",))
        for name in ("margin", "smoothing", "scale", "rate"):
            if name not in own and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{self.kind} has no {name}, only {', '.join((*own, 'weight'))}")
        if "margin" in own and self.margin is None and self.kind not in NO_MARGIN:
            raise ValueError(f"{self.kind} needs a margin, for example 0.3")
        return self


def _with_the_usual(values: Any) -> Any:
    """Parts get the kind that their name means, and the two that nearly every recipe has are added."""
    if not isinstance(values, Mapping):
        return values
    parts: dict[str, Any] = {"cross_entropy": {}, "metric": {}} | dict(values)
    meant = {"metric": "batch_soft_triplet"} | {kind: kind for kind in get_args(LossKind)}
    return {
        name: {"kind": meant[name]} | dict(part) if isinstance(part, Mapping) and name in meant else part
        for name, part in parts.items()
    }


Losses = Annotated[dict[str, LossConfig], BeforeValidator(_with_the_usual)]
