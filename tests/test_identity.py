"""The table (camera, track) -> identity."""

import numpy as np

from tracker.identity import IdentityTable
from tracker.types import CameraName

A, B = CameraName("a"), CameraName("b/last")


def test_every_track_of_every_camera_gets_its_own_number_once() -> None:
    table = IdentityTable()
    assert table.identify(A, np.array([1, 2])).tolist() == [1, 2]
    assert table.identify(B, np.array([1])).tolist() == [3]
    assert table.identify(A, np.array([2, 300, 1])).tolist() == [2, 4, 1]
    assert table.identify(A, np.array([], np.int64)).tolist() == []
    assert table.lookup(A, np.array([300, 300])).tolist() == [4, 4]
    assert table.people == 4


def test_a_restored_table_goes_on_as_if_nothing_had_happened() -> None:
    table = IdentityTable()
    table.identify(A, np.array([3, 1]))
    state = table.state()
    table.identify(A, np.array([9]))  # must not reach into the saved state
    other = IdentityTable()
    other.restore(state)
    assert other.identify(B, np.array([1])).tolist() == [3]
    assert other.identify(A, np.array([1, 9])).tolist() == [2, 4]
