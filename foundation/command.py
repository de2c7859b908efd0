"""How every command is called, starts, is stopped, fails and ends."""

import argparse
import difflib
import logging
import math
import os
import re
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.logging import RichHandler

from foundation.errors import ReuniteError
from foundation.extras import EXTRA_OF, install_hint
from foundation.text import PlainConsole, PlainFormatter, visible_lines

EXIT_NOT_ALL_WELL = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_CODES = """\
exit codes:
  0  done
  1  done, but the answer is no, or not all went well: a camera failed, nobody was found
  2  it cannot be done like this; the message says what to change
  130  stopped by Ctrl-C or a polite kill
"""


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the family: what its line holds, and what it does.

    Attributes:
        name: Its word behind ``reunite``.
        description: What it does, as the first lines of its help.
        examples: Two or more lines, without the name of the command, as the last lines of its help.
        add_arguments: Gives a parser what the line may hold.
        run: Gets the line, and a console to speak to; the exit code.
        remarks: What else its help says, after the examples.
        needs: Modules of extras without which it does not begin; its help is given without them.
    """

    name: str
    description: str
    examples: tuple[str, ...]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Console], int]
    remarks: str = ""
    needs: tuple[str, ...] = ()

    def parser(self, prog: str | None = None) -> argparse.ArgumentParser:
        """The command line.

        Args:
            prog: What the user typed to start the command; ``reunite NAME`` if it is not given.
        """
        examples = "\n".join(f"  %(prog)s {example}" for example in self.examples)
        parser = Parser(
            prog=prog or f"reunite {self.name}",
            description=textwrap.fill(self.description, 79),
            epilog="\n\n".join(part for part in (f"examples:\n{examples}", self.remarks) if part),
        )
        self.add_arguments(parser)
        return parser

    def main(self, argv: Sequence[str] | None = None, prog: str | None = None) -> int:
        """Run the command; its exit code, see `EXIT_CODES`."""
        return run_command(lambda: self, argv, prog)


class Parser(argparse.ArgumentParser):
    """A command line that tells a mistake in a sentence, and keeps the lines of its help as they are."""

    def __init__(self, **settings: object) -> None:
        settings = {
            "formatter_class": argparse.RawDescriptionHelpFormatter,
            "allow_abbrev": False,
            **settings,
        }
        super().__init__(**settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """End with the sentence, and the way to the help."""
        message = message.removeprefix("argument ")
        if unknown := re.fullmatch(r"unrecognized arguments: (\S+).*", message, re.DOTALL):
            word = unknown[1]
            known = [option for action in self._actions for option in action.option_strings]
            wrong = f"{word} is no option here" if word.startswith("-") else f"{word!r} is one word too many"
            message = wrong + did_you_mean(word.partition("=")[0], known)
        elif choice := re.fullmatch(r"(.*): invalid choice: (.*) \(choose from (.*)\)", message):
            known = [word.strip("'") for word in choice[3].split(", ")]
            message = f"{choice[1]}: {choice[2]} is not one of {', '.join(known)}"
            message += did_you_mean(choice[2].strip("'"), known)
        elif number := re.fullmatch(r"(.*): invalid (int|float) value: (.*)", message):
            message = f"{number[1]}: {number[3]} is no {'whole ' if number[2] == 'int' else ''}number"
        self.exit(EXIT_USAGE, f"error: {visible_lines(message.rstrip('.'))}\n{self.prog} --help says more\n")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about a mistyped word; empty where nothing known is like it."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f", did you mean {near[0]}?" if near else ""


def run_command(
    load: Callable[[], Command], argv: Sequence[str] | None = None, prog: str | None = None
) -> int:
    """Run a command, and say in one sentence what went wrong if it is something that a user can mend.

    Args:
        load: Imports the command, which may need a package that is not installed.
        argv: The command line; None takes that of the process.
        prog: What the user typed to start the command.

    Returns:
        The exit code, see `EXIT_CODES`.
    """
    try:
        command = load()
        arguments = command.parser(prog).parse_args(argv)
        for module in command.needs:
            if find_spec(module) is None:
                raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        console = make_console()
        log_to(console)
        with _kill_is_ctrl_c():
            code = command.run(arguments, console)
        sys.stdout.flush()  # now, where a reader that is gone can be told
    except KeyboardInterrupt as stopped:
        _tell(str(stopped) or "interrupted", style="")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever reads has read enough, as in: reunite config | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NOT_ALL_WELL
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_OF:
            raise
        _tell(f"error: needs {error.name}, which is not installed: {install_hint(EXTRA_OF[error.name])}")
        return EXIT_USAGE
    except (ReuniteError, OSError) as error:
        _tell(f"error: {error}")
        return EXIT_USAGE
    return code


def leave(code: int) -> NoReturn:
    """End the process of a command that has closed whatever it had opened.

    A thread that still waits for a silent camera or server cannot be woken, and the interpreter must not be
    taken down under it: then the process ends without that, and at once.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def make_console() -> Console:
    """What commands speak to: text as it is, and as wide as it likes where no terminal shows it."""
    return PlainConsole(width=None if sys.stdout.isatty() else 200)


def log_to(console: Console) -> None:
    """Let warnings of everything, and what our own packages tell, go where the command speaks."""
    handler = RichHandler(console=console, show_path=False)
    handler.setFormatter(PlainFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for package in ("foundation", "reid", "tracker"):
        logging.getLogger(package).setLevel(logging.INFO)


SAME_STOP_S = 1.0
"""Signals that come closer together mean one stop."""


class StopSignals:
    """Turns Ctrl-C and a polite kill into an event, for work that ends soon but not at once.

    A second Ctrl-C ends it at once, and says the farewell. One within `SAME_STOP_S` is the first once more:
    who stops a service or closes a terminal often sends two. Where this is not used the first one ends it.
    """

    def __init__(self, farewell: str) -> None:
        self._farewell = farewell

    def __enter__(self) -> threading.Event:
        self._stop = threading.Event()
        self._stopped_s = -math.inf  # others may set the event too
        self._before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self._stop

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._stop.is_set():
            self._stop.set()
            self._stopped_s = now
        elif now - self._stopped_s >= SAME_STOP_S:
            raise KeyboardInterrupt(self._farewell)


@contextmanager
def _kill_is_ctrl_c() -> Iterator[None]:
    """Let a polite kill end the command as Ctrl-C does, so that it tidies up."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def installed_version() -> str:
    """That of the package; without one the sources were never installed."""
    try:
        return version("reunite")
    except PackageNotFoundError:
        return "(sources that are not installed)"


def _tell(sentence: str, style: str = "bold red") -> None:
    PlainConsole(stderr=True).print(sentence, style=style, soft_wrap=True)
