"""Text that others wrote, made fit to be printed: file names, names of cameras, messages."""

import logging
import re

from rich.console import Console
from rich.text import Text

UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Control characters, those that turn the direction of writing, and bytes of names that are not UTF-8."""
UNSEEN_IN_LINES = re.compile(UNSEEN.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
"""The same but tabulators and ends of lines."""


def visible(text: str) -> str:
    r"""One line that shows what would not be seen or would move the cursor: ``\n``, ``\x1b``, ``\udcff``."""
    return UNSEEN.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """The same, but lines stay lines."""
    return UNSEEN_IN_LINES.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


class PlainConsole(Console):
    """Prints text as it is: no markup, no names of emoji, and control characters shown instead of obeyed."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **how: object) -> Text:
        """Every string that is printed or stands in a table comes this way."""
        return super().render_str(visible_lines(text), **how)  # type: ignore[arg-type]


class PlainFormatter(logging.Formatter):
    """A line of the log with its control characters shown."""

    def format(self, record: logging.LogRecord) -> str:
        """As `logging.Formatter`."""
        return visible_lines(super().format(record))
