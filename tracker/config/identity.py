"""What can be set of identity: who is one person, how sure that has to be, and who is a person at all."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from foundation.config import Section
from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError


class SimilarityConfig(Section):
    """What cosines between tracks mean before this site was seen; what is not given is of the network.

    Means and standard deviations, once the mean of each camera is taken out. Weights say it
    themselves (``reunite judge WEIGHTS --prior --write``); for those that do not, a default serves.
    """

    mean_different: float | None = Field(default=None, ge=-1, le=1)
    """Mean cosine of two people."""

    sd_different: float | None = Field(default=None, gt=0, le=1)
    """Its standard deviation over pairs of two people."""

    look_alikes: float | None = Field(default=None, ge=0, lt=1)
    """People dress alike: this share of pairs of two people has a higher mean."""

    more_of_look_alikes: float | None = Field(default=None, ge=0, le=1)
    """By how much the mean of two people who dress alike is higher."""

    sd_of_look_alikes: float | None = Field(default=None, gt=0, le=1)
    """Standard deviation over pairs of two people who dress alike."""

    mean_same: float | None = Field(default=None, ge=-1, le=1)
    """Mean cosine of one person in two tracklets."""

    sd_same: float | None = Field(default=None, gt=0, le=1)
    """Its standard deviation over people in two tracklets."""

    mean_within: float | None = Field(default=None, ge=-1, le=1)
    """Mean cosine of two embeddings of one track, three seconds apart."""

    sd_within: float | None = Field(default=None, gt=0, le=1)
    """Its standard deviation over tracks."""

    prior_pairs: float = Field(default=20.0, gt=0)
    """As many pairs of this site weigh as much as these numbers."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it is given, so that the network's plays no part."""
        return None not in self.model_dump().values()

    def of_network(self, known: CosinePrior) -> "SimilarityConfig":
        """The same, with what is not given here from what is known of the network.

        Raises:
            ReuniteError: Together they make no sense.
        """
        given = self.model_dump(exclude_none=True, exclude={"prior_pairs"})
        try:
            prior = CosinePrior.from_dict(asdict(known) | given)
        except ValueError as error:
            raise ReuniteError(f"identity.similarity, with what is known of the network: {error}") from None
        return SimilarityConfig(prior_pairs=self.prior_pairs, **asdict(prior))

    @property
    def prior(self) -> CosinePrior:
        """All of it, as a value; of what is not given, the default."""
        return CosinePrior.from_dict(
            asdict(CosinePrior()) | self.model_dump(exclude_none=True, exclude={"prior_pairs"})
        )

    @model_validator(mode="after")
    def _one_person_is_more_alike(self) -> Self:
        of_one = [mean for mean in (self.mean_within, self.mean_same) if mean is not None]
        if self.mean_different is not None and of_one and self.mean_different >= min(of_one):
            raise ValueError("mean_different must be below mean_within and mean_same")
        return self


class MaturityConfig(Section):
    """How much must be seen of somebody before they are a new person. What is less stays undecided: it may be
    a shadow, a reflection, or a piece of somebody else. Its numbers: docs/identity.md."""

    min_frames: int = Field(default=5, ge=1)
    """Frames in which it was seen."""

    min_s: float = Field(default=1.0, ge=0)
    """Seconds from the first of them to the last."""

    min_embeddings: int = Field(default=3, ge=1)
    """How often its appearance was taken; where nothing takes it, or nobody is joined, that plays no part."""

    min_motion: float = Field(default=0.012, ge=0, le=1)
    """Whoever moves less is a thing, unless the detector is sure: the median distance of the sides of the box
    from where they mostly are, as a share of its height. 0 counts chairs, shadows and posters too."""

    sure_score: float = Field(default=0.55, ge=0, le=1)
    """Whose mean score is this high is a person however still."""


class IdentityConfig(Section):
    """When two tracks are one person. Its numbers: docs/identity.md."""

    link: bool = True
    """Whether tracks are joined at all; off, every track is a person of its own, as in MOTChallenge's ground
    truth, which gives whoever returns a new number."""

    max_false_merge_rate: float = Field(default=0.05, gt=0, lt=0.5)
    """The share of new people that may be taken for somebody who was seen before."""

    decide_s: float = Field(default=2.0, ge=0)
    """Seconds after which a track that is like no known person is a new one; before, it is undecided."""

    keep_tracklets_s: float = Field(default=600.0, gt=0)
    """Of a live run: seconds after its end for which a track stays by itself. Then the tracks of a person in
    a camera become one, with the appearance of all and the time of the newest (docs/running.md)."""

    min_embeddings: int = Field(default=3, ge=1)
    """A track with fewer embeddings is not compared before ``decide_s``."""

    overlap: Literal["all"] | tuple[tuple[str, str], ...] = ()
    """Pairs of cameras that see one place, or ``all``, where that is known; others are found."""

    no_overlap: Literal["all"] | tuple[tuple[str, str], ...] = ()
    """Pairs of cameras that see no place in common, or ``all``, whatever it looks like."""

    maturity: MaturityConfig = MaturityConfig()
    similarity: SimilarityConfig = SimilarityConfig()

    renamed: ClassVar[Mapping[str, str]] = {"min_looks": "min_embeddings", "likeness": "similarity"}
