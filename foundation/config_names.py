"""Configurations by name: the files of ``configs/`` are found from any folder, also in a wheel."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from foundation.config import ConfigError

CONFIGS = next(
    folder
    for folder in (Path(__file__).with_name("configs"), Path(__file__).resolve().parents[1] / "configs")
    if folder.is_dir()
)
"""A wheel has them in this package (setup.py), the sources at their top."""


def config_names(patterns: Sequence[str]) -> dict[str, Path]:
    """Files by name, which is their path in ``configs/`` without the suffix.

    Args:
        patterns: Which, for example ``association/*.yaml``.
    """
    files = (file for pattern in patterns for file in sorted(CONFIGS.glob(pattern)))
    return {file.relative_to(CONFIGS).with_suffix("").as_posix(): file for file in files}


def find_config(given: Path | str, patterns: Sequence[str]) -> Path:
    """The file that is meant by its path, or by the name of one of ours.

    Raises:
        ConfigError: It is neither; but a path with a suffix is for the reader to miss.
    """
    path, names = Path(given), config_names(patterns)
    if path.is_file():
        return path
    if str(given) in names:
        return names[str(given)]
    name = path.with_suffix("").as_posix().removeprefix("configs/")
    if name in names:
        raise ConfigError(f"{given}: no such file here; its name finds it from any folder: {name}")
    if path.suffix:
        return path
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.6)
    way_out = f"did you mean {near[0]}?" if near else f"the names are {', '.join(names)}"
    raise ConfigError(f"{given}: no such file, and no name of a configuration; {way_out}")
