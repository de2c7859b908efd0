"""``reunite train CONFIG --data KIND=PATH``: train an embedding network."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from foundation.command import Command
from foundation.config_names import config_names
from foundation.errors import ReuniteError
from foundation.files import write_whole
from reid.config import RECIPES, RUN_CONFIG, TrainConfig, dump_config, load_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument(
        "config",
        nargs="?",
        type=Path,
        metavar="RECIPE",
        help=f"a file, or the name of a recipe that ships: {', '.join(config_names(RECIPES))}",
    )
    learning = parser.add_argument_group("what is learnt, and how")
    learning.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="KIND=PATH",
        help="what to learn from: market1501, dukemtmc, cuhk03-detected, cuhk03-labeled, msmt17, mars, "
        "folder (your own pictures, a folder for each person) or unlabelled (pictures without identities, "
        "for a teacher); NAME=KIND:PATH gives it a name; may be given many times",
    )
    learning.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe, or a resumed run from here on, for example schedule.epochs=60; may be given "
        "many times",
    )
    runs = parser.add_argument_group("runs")
    runs.add_argument(
        "--runs",
        type=Path,
        default=Path("runs/reid"),
        metavar="FOLDER",
        help="where the folder of the run is made (default: runs/reid)",
    )
    runs.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="instead of RECIPE: the folder of a run, to go on from its last whole epoch",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Train to the last epoch; a run that ends before it began leaves nothing."""
    from reid.training import AVERAGED, WEIGHTS, train  # only now: the help is given without PyTorch

    folder, config, made = open_run(arguments)
    try:
        train(config, folder, console)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; go on with: reunite train --resume {folder}") from None
    except (ReuniteError, OSError):
        if arguments.resume is None and [path.name for path in folder.iterdir()] == [RUN_CONFIG]:
            (folder / RUN_CONFIG).unlink()  # the next run gets the name
            folder.rmdir()
            with suppress(OSError):  # a teacher's embeddings may lie there
                for empty in made:
                    empty.rmdir()
        raise
    result = folder / (WEIGHTS if config.average.kind == "none" else AVERAGED)
    console.print(f"done; judge it: reunite judge {result} --data KIND=PATH", soft_wrap=True)
    return 0


def open_run(arguments: argparse.Namespace) -> tuple[Path, TrainConfig, list[Path]]:
    """The folder and configuration of a new run, or of the one to resume; the folders made around it."""
    if arguments.resume is not None:
        if arguments.config or arguments.data:
            raise ReuniteError(
                "--resume RUN goes on with its recipe and its data: leave RECIPE and --data out"
            )
        if not (arguments.resume / RUN_CONFIG).is_file():
            raise ReuniteError(
                f"--resume {arguments.resume}: holds no {RUN_CONFIG}; give the folder of a run, such as "
                "runs/reid/robust-reid-025x"
            )
        return arguments.resume, load_config(arguments.resume / RUN_CONFIG, arguments.set), []
    if arguments.config is None:
        raise ReuniteError("give a recipe, for example reid/robust-reid-025x, or --resume RUN")
    config = load_config(arguments.config, arguments.set)
    if arguments.data:
        config = config.model_copy(update={"data": tuple(arguments.data)})
    if not config.data:
        raise ReuniteError("no data: give --data market1501=PATH")
    number, above = 1, [path for path in (arguments.runs, *arguments.runs.parents) if not path.exists()]
    while True:
        folder = arguments.runs / f"{config.name}{number if number > 1 else ''}"
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
        except OSError as error:
            raise ReuniteError(f"{folder}: cannot make the folder of the run ({error.strerror})") from None
    write_whole(folder / RUN_CONFIG, dump_config(config).encode())
    return folder, config, above


COMMAND = Command(
    name="train",
    description="Train an embedding network by a recipe. Each run gets a folder of its own, with a "
    "checkpoint after each epoch, the weights, log.csv, curves.png and TensorBoard's log.",
    examples=(
        "reid/robust-reid-1x --data market1501=Market-1501-v15.09.15",
        "reid/ha-cnn --data folder=my-people --set schedule.epochs=60",
        "reid/robust-reid-025x --data market1501=Market-1501-v15.09.15 "
        "--set distillation.teacher=person-reidentification-retail-0277.xml",
        "--resume runs/reid/robust-reid-1x",
    ),
    add_arguments=add_arguments,
    run=run,
)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main(prog="python -m reid.train"))
