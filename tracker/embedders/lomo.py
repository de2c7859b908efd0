"""LOMO, the classic descriptor of colours and textures: no weights and no runtime, a few milliseconds."""

from collections.abc import Sequence
from hashlib import sha256

from foundation.arrays import BoolArray
from foundation.cosine_prior import CosinePrior
from reid import lomo
from reid.stored_prior import KNOWN
from tracker.embedders.crops import embed_crops
from tracker.types import Detections, Network, Observations, Tick


class LomoEmbedder:
    """Crops of all cameras of a tick to vectors of 1,024 numbers."""

    def __init__(self) -> None:
        self._embedder = lomo.open_lomo(lomo.LOMO_SHORT)
        self.prior: CosinePrior | None = KNOWN[lomo.LOMO_SHORT]
        fingerprint = sha256(repr(lomo.SETTINGS).encode()).hexdigest()
        self.network: Network | None = Network(lomo.LOMO_SHORT, fingerprint, lomo.SHORT_LENGTH)

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> Sequence[Observations]:
        """The people of each frame, the wanted ones with their appearance; see `Embedder`."""
        return embed_crops(self._embedder, tick, detections, needed)
