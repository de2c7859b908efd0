"""People as named arrays and back, for a checkpoint."""

from collections.abc import Mapping

import numpy as np

from tracker.gallery.people import Person, Pictures, Presence
from tracker.types import CameraName, State


def people_to_arrays(people: Mapping[int, Person | None], dimension: int) -> State:
    """People by number; None: nobody is remembered under it."""
    there = [person for person in people.values() if person]
    seen = [(it.number, camera, presence) for it in there for camera, presence in it.presence.items()]
    pictures = [it.pictures for it in there]
    embeddings = [np.zeros((0, dimension), np.float32), *(it.embeddings for it in pictures)]
    return {
        "numbers": np.array(list(people), np.int64),
        "seen_number": np.array([number for number, _, _ in seen], np.int64),
        "seen_camera": np.array([camera for _, camera, _ in seen], np.str_),
        "seen_s": np.array([(it.first_seen, it.last_seen) for _, _, it in seen]).reshape(-1, 2),
        "sightings": np.array([it.sightings for _, _, it in seen], np.int64),
        "picture_number": np.repeat([it.number for it in there], [len(it) for it in pictures]).astype(
            np.int64
        ),
        "picture_camera": np.array([camera for it in pictures for camera in it.cameras], np.str_),
        "picture_s": np.concatenate([np.zeros(0), *(it.times for it in pictures)]),
        "embeddings": np.concatenate(embeddings),
    }


def people_from_arrays(state: State) -> dict[int, Person | None]:
    """The people of `people_to_arrays`."""
    people: dict[int, Person | None] = {}
    for number in state["numbers"].tolist():
        seen, shows = state["seen_number"] == number, state["picture_number"] == number
        presence = {
            CameraName(camera): Presence(first_s, last_s, sightings)
            for camera, (first_s, last_s), sightings in zip(
                state["seen_camera"][seen].tolist(),
                state["seen_s"][seen].tolist(),
                state["sightings"][seen].tolist(),
                strict=True,
            )
        }
        cameras = state["picture_camera"][shows].astype(np.object_)
        pictures = Pictures(cameras, state["picture_s"][shows], state["embeddings"][shows])
        people[number] = Person(number, presence, pictures) if presence else None
    return people
