"""What the corrections of a site teach: pairs of one person and of two, until they are undone."""

import json

import numpy as np

from tracker.identity.similarity import Taught
from tracker.live.site import Site

MAX_CORRECTIONS = 500
"""The newest of a site; more would teach no more."""


def corrected_pairs(site: Site, network: str) -> Taught:
    """The cosines of all corrections that hold, as far as embeddings were of this network.

    The table of corrections is the one place where they are kept; a run learns from them when it begins, and
    whenever one is made or undone.
    """
    rows = site.rows(
        "SELECT kind, detail FROM correction WHERE kind IN ('merge', 'split') AND undone IS NULL "
        "ORDER BY id DESC LIMIT ?",
        (MAX_CORRECTIONS,),
    )
    cosines: dict[str, list[float]] = {"merge": [], "split": []}
    for row in rows:
        detail = json.loads(row["detail"])
        if detail.get("network") == network:
            cosines[row["kind"]] += detail.get("cosines", [])
    return Taught(np.array(cosines["merge"], np.float64), np.array(cosines["split"], np.float64))
