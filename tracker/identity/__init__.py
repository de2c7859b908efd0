"""Identities: which person a track of a camera is, over all cameras and after absence."""

from tracker.identity.linker import IdentityLinker
from tracker.identity.table import UNDECIDED, IdentityTable

__all__ = ["UNDECIDED", "IdentityLinker", "IdentityTable"]
