"""Settings that were chosen in the browser: kept by the site, some of them taken over at once."""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from foundation.config import ConfigError
from foundation.settings import settings_of
from tracker.config import RunConfig, load_config
from tracker.identity.linker import CHANGEABLE
from tracker.live.site import Site

logger = logging.getLogger(__name__)

KEY = "settings"
"""Where they are in the site's file: by key, the value as YAML."""

AT_ONCE = ("retention.", *(f"identity.{name}" for name in CHANGEABLE))
"""What begins so changes while the tracker runs; all else with the next start."""

ELSEWHERE = ("source", "output.", "gallery.path", "gallery.thumbnails", "reading.loop")
"""What begins so is said by the command line or the privacy settings."""

PATHS = ("weights", "path", "folder")
"""Keys that end so name files of the server, which is not for a browser to choose."""


def is_at_once(key: str) -> bool:
    """Whether a setting changes while the tracker runs."""
    return key.startswith(AT_ONCE)


def may_be_chosen(key: str) -> bool:
    """Whether a setting can be changed in the browser; a whole section cannot, as it may hold a path."""
    return key not in _sections() and not key.startswith(ELSEWHERE) and not key.endswith(PATHS)


@cache
def _sections() -> frozenset[str]:
    return frozenset(it.key for it in settings_of(RunConfig) if it.is_section)


def chosen(site: Site) -> dict[str, str]:
    """By key, what was chosen."""
    found: Mapping[str, str] = site.setting(KEY, {})
    return dict(found)


def load_chosen(paths: Sequence[Path | str], overrides: Sequence[str], site: Site) -> RunConfig:
    """The configuration of these files, with what was chosen in the browser and, above that, these overrides.

    A choice that does not fit is left out, and said.

    Raises:
        ConfigError: The files and overrides cannot be used.
    """
    fitting: list[str] = []
    for key, value in chosen(site).items():
        try:
            load_config(paths, [*fitting, f"{key}={value}"])
            fitting.append(f"{key}={value}")
        except ConfigError as error:
            logger.warning("%s, as it was chosen in the browser, is left out: %s", key, error)
    return load_config(paths, [*fitting, *overrides])


def changed(site: Site, key: str, value: str) -> RunConfig:
    """What the run is set to, with one setting changed, given as YAML.

    Raises:
        ConfigError: There is no such setting, or it cannot have this value.
    """
    return load_config(site.config, [f"{key}={value}"])
