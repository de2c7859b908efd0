"""``reunite user``: who may sign in to a site."""

import argparse
import getpass
import sys
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from foundation.command import Command
from foundation.errors import ReuniteError
from tracker.live.accounts import Accounts
from tracker.live.rights import Role, read_camera_keys
from tracker.live.site import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    site = argparse.ArgumentParser(add_help=False)
    site.add_argument(
        "--site",
        type=Path,
        default=Path("runs/site"),
        metavar="FOLDER",
        help="the folder of the site (default: runs/site)",
    )
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    add = commands.add_parser(
        "add", help="add a user, or change one", description="Add a user.", parents=[site]
    )
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=["viewer", "operator", "admin"], default="viewer")
    add.add_argument(
        "--cameras", metavar="IDS", help="only these, by their ids: c1,c3 (default: all; 'list' says which)"
    )
    commands.add_parser("list", help="users and cameras", description="List them.", parents=[site])
    remove = commands.add_parser("remove", help="take a user away", description="Remove.", parents=[site])
    remove.add_argument("name", metavar="NAME")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do what was asked."""
    site = Site(arguments.site)
    accounts = Accounts(site)
    match arguments.command:
        case "add":
            try:
                cameras = read_camera_keys(arguments.cameras.split(",") if arguments.cameras else None)
            except ValueError as error:
                raise ReuniteError(f"--cameras: {error}") from None
            accounts.add_user(arguments.name, read_password(), Role.of(arguments.role), cameras)
            site.note("console", "added user", arguments.name)
            console.print(f"{arguments.name} may sign in as {arguments.role}")
        case "remove":
            if not accounts.remove_user(arguments.name):
                raise ReuniteError(f"{arguments.name}: there is no such user; 'list' says who there is")
            site.note("console", "removed user", arguments.name)
            console.print(f"{arguments.name} is gone")
        case _:
            table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
            for column in ("user", "role", "cameras"):
                table.add_column(column)
            for user in accounts.users():
                keys = user["cameras"]
                seen = ", ".join(keys) if isinstance(keys, list) else "all"
                table.add_row(str(user["name"]), str(user["role"]), seen)
            console.print(table)
            for camera in site.cameras():
                console.print(f"{camera.key}: {camera.name}", highlight=False)
    return 0


def read_password() -> str:
    """From the terminal, twice; or the first line of what is piped in.

    Raises:
        ReuniteError: The two are not the same.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("password: ")
    if first != getpass.getpass("once more: "):
        raise ReuniteError("the two passwords differ; start again")
    return first


COMMAND = Command(
    name="user",
    description="Say who may sign in to the live application, and what they may do there.",
    examples=(
        "add anna --role admin",
        "add desk --role operator --cameras c1,c2",
        "list",
        "remove anna",
    ),
    add_arguments=add_arguments,
    run=run,
    remarks="Roles: viewer looks; operator names and mends people, searches and draws zones; admin does "
    "everything.",
    needs=("argon2",),
)
main = COMMAND.main
