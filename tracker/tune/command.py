"""``reunite tune SOURCE... --gt TRUTH...``: better numbers for one's own sequences."""

import argparse
import json
import threading
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from foundation.command import EXIT_INTERRUPTED, Command, StopSignals
from foundation.errors import ReuniteError
from tracker.config import RunConfig, load_config, with_values
from tracker.config.options import add_settings
from tracker.sources.addresses import find_cameras
from tracker.tune.keys import Range, choose_ranges
from tracker.tune.parts import Split, choose_held_out, pair_truth, split_recordings
from tracker.tune.progress import TrialBar
from tracker.tune.recording import Recorder
from tracker.tune.report import METRICS, Outcome, outcome_table, write_outcome
from tracker.tune.scoring import Scorer

if TYPE_CHECKING:
    from tracker.tune.search import Search, TrialLog

RECORDINGS = "tune-recordings"
"""This folder, beside that of the search, keeps recordings: searches that differ in their keys share them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="video, folder of videos or of images, MOTChallenge sequence or folder of them",
    )
    parser.add_argument(
        "--gt",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="ground truth, paired with the sources by name: gt.txt, sequence folder (with gt/gt.txt), or "
        "folder of sequences (NAME/gt/gt.txt or train/NAME/gt/gt.txt)",
    )
    add_settings(parser, "detector.kind=file")
    searching = parser.add_argument_group("the search")
    searching.add_argument(
        "--keys",
        nargs="+",
        default=[],
        metavar="KEY",
        help="search these alone; a section stands for all below it, as tracking.motion does "
        "(default: everything with a range)",
    )
    searching.add_argument(
        "--metric", choices=METRICS, default="HOTA", help="what to improve (default: HOTA)"
    )
    searching.add_argument(
        "--trials", type=_positive, default=200, metavar="N", help="how many, in all (default: 200)"
    )
    searching.add_argument(
        "--held-out",
        nargs="+",
        default=["0.3"],
        metavar="SHARE|NAME",
        help="what only judges: names of sequences, or the share of them, chosen by chance; of a single "
        "sequence its end (default: 0.3)",
    )
    searching.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same answer (default: 0)"
    )
    output = parser.add_argument_group("what is written")
    output.add_argument(
        "--output",
        type=Path,
        default=Path("runs/tune"),
        metavar="FOLDER",
        help="where tuned.yaml, scores.json and trials.jsonl go (default: runs/tune)",
    )
    output.add_argument(
        "--resume",
        action="store_true",
        help="go on with the search in the output folder; give all else as before, or more --trials",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Search until all trials are done or Ctrl-C; the exit code."""
    with StopSignals("stopped at once; go on with the same command and --resume") as stop:
        return tune(arguments, console, stop)


def tune(arguments: argparse.Namespace, console: Console, stop: threading.Event) -> int:
    """Record, search, judge, write; gives the exit code."""
    # Imported where it is needed: Optuna is slow, and an extra.
    from tracker.tune.search import Search, TrialLog

    config = load_config(arguments.config, arguments.overrides)
    # Wrong keys are named before hours of work; whether there are embeddings is known after it.
    ranges = choose_ranges(config, arguments.keys, has_embeddings=True)
    path = arguments.output / "trials.jsonl"
    if path.exists() and not arguments.resume:
        raise ReuniteError(
            f"{arguments.output}: holds a search; go on with it (--resume), or name another --output"
        )
    cameras = find_cameras(arguments.source, config.reading.secret_path_parts)
    live = [camera.name for camera in cameras if camera.is_live]
    if live:
        raise ReuniteError(
            f"{live[0]}: is live; tuning needs recordings, since every trial sees the same frames"
        )
    names = [camera.name for camera in cameras]
    truth, unused = pair_truth(names, arguments.gt)
    if unused:
        console.print(
            f"not used, no source has this name: ground truth of {', '.join(unused)}",
            soft_wrap=True,
        )
    whole = choose_held_out(names, arguments.held_out, arguments.seed)

    # A trial may ask for any score of the range; those that it drops it drops itself.
    lowest = {key: it.low for key, it in ranges.items() if key == "detector.min_score"}
    recorder = Recorder(with_values(config, lowest), arguments.output.parent / RECORDINGS)
    recordings = recorder.record(cameras, console, stop)
    if recordings is None:
        console.print("stopped; the sequences that were complete are kept: give the same command again")
        return EXIT_INTERRUPTED
    split = split_recordings(recordings, truth, whole, arguments.held_out)
    ranges = choose_ranges(config, arguments.keys, any(recording.has_embeddings for recording in recordings))
    console.print(
        f"searching {len(ranges)} number(s) for {arguments.metric} on {split.tuning_name}; "
        f"held out: {split.held_out_name or 'nothing'}",
        soft_wrap=True,
    )
    settings = search_settings(config, ranges, split, arguments.metric, arguments.seed)
    log = TrialLog.reopen(path, settings) if path.exists() else TrialLog.begin(path, settings)
    if log.trials:
        console.print(f"going on after {len(log.trials)} trials")
    search = Search(ranges, arguments.metric, arguments.seed, log.trials)
    with Scorer(split.tuning) as scorer:
        run_trials(search, log, scorer, config, ranges, arguments.trials, console, stop)
        if not search.trials:
            console.print("stopped before the first trial was done; go on with the same command and --resume")
            return EXIT_INTERRUPTED
        outcome = judge(search, scorer, config, ranges, split, arguments.metric)
    files = write_outcome(arguments.output, outcome)
    console.print(outcome_table(outcome))
    if outcome.warning:
        console.print(f"warning: {outcome.warning}", style="yellow", soft_wrap=True)
    console.print("wrote:", *(f"  {file}" for file in (*files, path)), sep="\n", soft_wrap=True)
    if len(search.trials) < arguments.trials:
        done = f"{len(search.trials)} of {arguments.trials}"
        console.print(f"stopped after {done} trials; go on with the same command and --resume")
        return EXIT_INTERRUPTED
    return 0


def run_trials(
    search: "Search",
    log: "TrialLog",
    scorer: Scorer,
    config: RunConfig,
    ranges: Mapping[str, Range],
    total: int,
    console: Console,
    stop: threading.Event,
) -> None:
    """Try until there are ``total`` trials or ``stop`` is set; each is in the log as soon as it is done."""
    from tracker.tune.search import Trial

    with TrialBar(console, search.metric, len(search.trials), total) as bar:
        while len(search.trials) < total and not stop.is_set():
            values = search.ask()
            figures = scorer.score(tried(config, ranges, values)).as_dict()
            trial = Trial(values, {name: figures[name] for name in (*METRICS, "IDSW")})
            log.add(trial)
            search.tell(trial)
            first, best = (it.figures[search.metric] for it in (search.trials[0], search.best))
            bar.show(len(search.trials), first, best)


def judge(
    search: "Search",
    scorer: Scorer,
    config: RunConfig,
    ranges: Mapping[str, Range],
    split: Split,
    metric: str,
) -> Outcome:
    """Before and after, on both parts."""
    best = tried(config, ranges, search.best.values)
    tuning = scorer.score(config), scorer.score(best)
    held_out = None
    if split.held_out:
        with Scorer(split.held_out) as judging:
            held_out = judging.score(config), judging.score(best)
    values = {key: it.rounded(search.best.values[key]) for key, it in ranges.items()}
    return Outcome(
        config=best,
        metric=metric,
        trials=len(search.trials),
        split=split,
        tuning=tuning,
        held_out=held_out,
        ranges=ranges,
        values=values,
        importance=search.importance(),
    )


def tried(config: RunConfig, ranges: Mapping[str, Range], values: Mapping[str, float]) -> RunConfig:
    """The configuration that a trial runs."""
    return with_values(config, {key: ranges[key].rounded(value) for key, value in values.items()})


def search_settings(
    config: RunConfig, ranges: Mapping[str, Range], split: Split, metric: str, seed: int
) -> dict[str, Any]:
    """All that the trials of a search depend on, under names that a user knows."""
    sections = config.model_dump(mode="json", include={"tracking", "detector", "camera_motion", "embedder"})
    parts = "".join(part.fingerprint() for part in split.tuning)
    return {
        "--metric": metric,
        "--seed": seed,
        "configuration": sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest(),
        "--keys or ranges": {key: [it.low, it.high, it.log, it.present] for key, it in ranges.items()},
        "tuning part": split.tuning_name,
        "--held-out": split.held_out_name,
        "detections, camera motion or ground truth": sha256(parts.encode()).hexdigest(),
    }


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return int(text)


COMMAND = Command(
    name="tune",
    description="Search better numbers for the camera tracker on your own sequences with ground truth. "
    "People are detected once; then every trial tracks all sequences with other values, within the ranges "
    "that the configuration states, and is scored. What the search never saw judges its answer. Who a person "
    "is across cameras (identity) plays no part.",
    examples=(
        "my-videos/ --gt my-videos/ --config onnx",
        "MOT16/train --gt MOT16/train --config file --held-out MOT16-09 MOT16-11",
        "door.mp4 --gt door/gt/gt.txt --keys tracking.max_lost_s tracking.motion --trials 50",
    ),
    add_arguments=add_arguments,
    run=run,
    remarks="then:\n  reunite track new-video.mp4 --config runs/tune/tuned.yaml",
)
main = COMMAND.main
