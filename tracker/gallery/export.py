"""Everything that a gallery knows, as files that other programs read."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from foundation.errors import ReuniteError
from tracker.gallery.people import HalfArray, PersonSummary, PictureKey
from tracker.gallery.store import Gallery


def export_gallery(gallery: Gallery, folder: Path) -> dict[str, Any]:
    """Write ``people.json``, ``embeddings.npy`` and ``thumbnails/PERSON-PICTURE.jpg``.

    Args:
        gallery: What to write.
        folder: Where to; must be empty or not exist, so that nobody who was forgotten stays in it.

    Returns:
        What stands in ``people.json``: the network, the people with their pictures, the merges. A picture
        names its thumbnail, or null, and its row of the embeddings (R, D, half precision).

    Raises:
        ReuniteError: The folder is not empty or cannot be written.
    """
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise ReuniteError(f"{folder}: is not empty; name a folder that is empty or not there yet")
        (folder / "thumbnails").mkdir(parents=True, exist_ok=True)
        people: list[dict[str, Any]] = []
        rows: list[HalfArray] = []
        for person in gallery.people():
            pictures = []
            for count, (key, embedding, jpeg) in enumerate(pictures_of(gallery, person), start=1):
                file = f"thumbnails/{person.number}-{count}.jpg" if jpeg else None
                if file:
                    (folder / file).write_bytes(jpeg)
                pictures.append({**key._asdict(), "thumbnail": file, "row": len(rows)})
                rows.append(embedding)
            people.append({**person_as_dict(person), "pictures": pictures})
        report = {
            "network": asdict(gallery.network),
            "people": people,
            "merges": [asdict(merge) for merge in gallery.merges()],
        }
        embeddings = np.array(rows, np.float16).reshape(-1, gallery.network.dimension)
        np.save(folder / "embeddings.npy", embeddings)
        (folder / "people.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ReuniteError(f"{folder}: cannot write the export: {error.strerror}") from None
    return report


def pictures_of(gallery: Gallery, person: PersonSummary) -> Iterator[tuple[PictureKey, HalfArray, bytes]]:
    """Each picture of a person over all merged numbers: its key, embedding (D,), and JPEG or b""."""
    for number in (person.number, *person.also):
        pictures, thumbnails = gallery.person(number).pictures, gallery.thumbnails(number)
        embeddings = pictures.embeddings.astype(np.float16)
        for key, embedding in zip(pictures.keys(number), embeddings, strict=True):
            yield key, embedding, thumbnails.get(key, b"")


def person_as_dict(person: PersonSummary) -> dict[str, Any]:
    """A person ready for JSON; times are Unix time in seconds."""
    return {
        "number": person.number,
        "also": list(person.also),
        **asdict(person.seen),
        "cameras": {camera: asdict(presence) for camera, presence in person.presence.items()},
        "num_pictures": person.pictures,
        "num_thumbnails": person.thumbnails,
    }
