"""People on the watchlist of whom there is only a photo: found once somebody is surely the one on it."""

import numpy as np

from foundation.arrays import EmbeddingArray
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.live.site import Site


class PhotoWatch:
    """Compares photos with everybody; used by the thread that tracks."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._photos: dict[int, EmbeddingArray] = {}

    def reload(self, network: str) -> None:
        """Read the photos of whom nobody knows the number yet, as far as this network embedded them."""
        rows = self._site.rows(
            "SELECT id, embedding FROM watch WHERE person IS NULL AND network = ? ORDER BY id", (network,)
        )
        self._photos = {row["id"]: np.frombuffer(row["embedding"], np.float32) for row in rows}

    def look(self, identities: IdentityLinker) -> bool:
        """Whether anybody was found; they are on the watchlist by their number then."""
        found = {entry: identities.find_on_photo(photo) for entry, photo in self._photos.items()}
        found = {entry: person for entry, person in found.items() if person != UNDECIDED}
        for entry, person in found.items():
            with self._site.writing() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO person_name SELECT ?, name FROM watch WHERE id = ? AND name != ''",
                    (person, entry),
                )
                done = connection.execute(
                    "UPDATE OR IGNORE watch SET person = ?, network = NULL, embedding = NULL WHERE id = ?",
                    (person, entry),
                )
                if not done.rowcount:  # they are watched for already
                    connection.execute("DELETE FROM watch WHERE id = ?", (entry,))
            del self._photos[entry]
        return bool(found)
