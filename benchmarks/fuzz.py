"""Damaged and invented inputs: each must end in an answer or in one sentence, never in a traceback or a hang.

    python -m benchmarks.fuzz --inputs 2000 --seed 0
    python -m benchmarks.fuzz --kinds gallery --inputs 100 --first 317 --inputs 1   # one of them again

Each input is made from its kind and number alone, so that it can be made again. It is tried in a process of
its own kind, which is killed when it does not come back. Counted are

- answer: it was read, and nothing had been damaged or what had been is said;
- sentence: it was refused in one sentence (`ReuniteError`);
- silent: a damaged file was read and nothing was said, which may be right: not every byte matters;
- traceback, crash, hang: what must not be.
"""

import argparse
import contextlib
import io
import multiprocessing
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np

from foundation.errors import ReuniteError

Random = np.random.Generator
OUTCOMES = ("answer", "sentence", "silent", "traceback", "crash", "hang")
BAD = ("traceback", "crash", "hang")
BLOCKED = 10
"""A process that waits, or is kept waiting by others, is given as many times longer."""
CONFIGS = Path(__file__).parents[1] / "configs"
WEIGHTS = Path(__file__).parents[1] / "reid" / "weights" / "robust-reid-025x.onnx"
WORDS = [
    "0",
    "-1",
    "1e400",
    "nan",
    "null",
    "true",
    "[]",
    "{}",
    "9" * 30,
    "''",
    "\x00",
    "é",
    "*a",
    "&a",
    "!!python/x",
    "2026-02-31",
    "0x_",
    "!!int x",
    "&b [*b]",
    "[" * 2000,
]


def damage(data: bytes, random: Random) -> bytes:
    """Bytes with something changed, cut off, doubled or taken out, at one to eight places."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 9)):
        if not changed:
            break
        place, length = int(random.integers(len(changed))), int(random.integers(1, 64))
        match random.integers(5):
            case 0:
                changed[place : place + length] = random.bytes(min(length, len(changed) - place))
            case 1:
                changed[place] ^= 1 << int(random.integers(8))
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = changed[place : place + length]
            case _ if random.random() < 0.2:
                del changed[place:]
    return bytes(changed)


def damage_text(text: str, random: Random) -> str:
    """Lines with words changed, swapped, doubled or taken out."""
    lines = text.splitlines()
    for _ in range(random.integers(1, 6)):
        place = int(random.integers(len(lines)))
        match random.integers(4):
            case 0:
                lines[place] = lines[place].partition(":")[0] + ": " + str(random.choice(WORDS))
            case 1:
                cells = lines[place].split(",")
                cells[int(random.integers(len(cells)))] = str(random.choice(WORDS))
                lines[place] = ",".join(cells)
            case 2:
                lines.insert(place, lines[int(random.integers(len(lines)))])
            case _:
                lines[place] = lines[place][int(random.integers(len(lines[place]) + 1)) :]
    return "\n".join(lines)


def try_yaml(folder: Path, random: Random) -> str:
    """A configuration."""
    from tracker.config import load_config

    files = sorted(CONFIGS.glob("*.yaml"))
    text = files[int(random.integers(len(files)))].read_text(encoding="utf-8")
    path = folder / "config.yaml"
    path.write_text(damage_text(text, random), encoding="utf-8")
    load_config(path)
    return "answer"  # what is read is checked as a whole: it is what it says


def try_mot(folder: Path, random: Random) -> str:
    """Ground truth and a result, scored; detections, opened."""
    from tracker.config import FileDetectorConfig
    from tracker.detectors.mot_file import FileDetector
    from tracker.evaluate import evaluate_results
    from tracker.types import CameraName

    rows = [
        f"{frame},{who},{who * 40 + frame},20,30,40,1,-1,-1,-1" for frame in range(1, 9) for who in (1, 2)
    ]
    for name in ("truth", "result"):
        (folder / name).mkdir()
        text = "\n".join(rows)
        damaged = damage_text(text, random) if random.random() < 0.7 else text
        (folder / name / "door.txt").write_text(damaged, encoding="utf-8")
    FileDetector(FileDetectorConfig(path=str(folder / "result")), {CameraName("door"): "door.mp4"})
    evaluate_results(folder / "result" / "door.txt", folder / "truth" / "door.txt")
    return "answer"


def make_clip(path: Path, frames: int = 24) -> None:
    """A small H.264 video of noise that moves."""
    picture = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, index, axis=1), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def try_video(folder: Path, random: Random) -> str:
    """A damaged video beside a whole one, read to the end and tracked."""
    from tracker import Detections, MultiCameraTracker
    from tracker.config import load_config
    from tracker.sources import open_source

    suffix = str(random.choice([".mp4", ".mkv", ".avi", ".ts", ".h264"]))
    bad, good = folder / f"bad{suffix}", folder / f"good{suffix}"
    make_clip(good)
    bad.write_bytes(damage(good.read_bytes(), random))
    source = open_source([str(bad), str(good)])
    config = load_config(None, ["embedder.kind=none", "detector.kind=embedded"])
    tracker = MultiCameraTracker([str(name) for name in source.reports], config)
    person = Detections.of(np.array([[10.0, 10, 40, 80]]), np.array([0.9]))
    for tick in source.ticks():
        tracker.step(tick, {frame.camera: person for frame in tick.frames})
    source.close()
    damaged, whole = source.reports.values()
    if whole.problem or whole.read != 24:
        raise AssertionError(f"the whole video suffered: {whole}")
    return "answer" if damaged.problem or damaged.remark else "silent"


def damage_values(path: Path, random: Random) -> None:
    """Values of other kinds in one to four places of a gallery's tables."""
    places = {
        "gallery": ["network", "fingerprint", "dimension", "last_run"],
        "presence": ["person", "camera", "first_seen", "last_seen", "sightings"],
        "picture": ["person", "camera", "time", "embedding"],
        "thumbnail": ["jpeg"],
        "merge": ["time", "kept", "merged"],
    }
    values = ["'text'", "x'00ff'", "-1", "9e999", "4611686018427387904", "0.5", "''", "zeroblob(32)"]
    connection = sqlite3.connect(path, isolation_level=None)
    for _ in range(int(random.integers(1, 5))):
        table = str(random.choice(list(places)))
        column, value = str(random.choice(places[table])), str(random.choice(values))
        with contextlib.suppress(sqlite3.Error):  # of a key that would be there twice
            connection.execute(f"UPDATE {table} SET {column} = {value}")
    connection.close()


def try_gallery(folder: Path, random: Random) -> str:
    """A gallery, through its commands and a run; what is repaired must be sound."""
    from tests.galleries import NETWORK, drawn_person, drawn_thumbnails
    from tracker.gallery import GalleryWriter
    from tracker.gallery.command import COMMAND
    from tracker.gallery.repair import check_gallery
    from tracker.recording.gallery import RunGallery

    path = folder / "people.sqlite"
    with GalleryWriter(path, NETWORK) as gallery:
        people = [drawn_person(number) for number in gallery.reserve(4)]
        gallery.save(people, drawn_thumbnails(people[0]))
        gallery.merge(1, 4)
    if random.random() < 0.4:
        damage_values(path, random)
    else:
        path.write_bytes(damage(path.read_bytes(), random))
    words = [
        "list",
        "show 1",
        "merge 1 2",
        "split 1",
        "forget 3 --yes",
        "export",
        "prune --older-than 1d --yes",
        "check",
        "repair",
        "run",
    ]
    word = str(random.choice(words))
    if word == "run":
        run = RunGallery(path, NETWORK, is_live=False, is_own=False)
        run.known()
        run.reserve(2)
        run.close()
        return "silent"
    code = run_quietly(COMMAND.main, [*word.split(), "--gallery", str(path)])
    repaired = folder / "people-repaired.sqlite"
    if repaired.exists() and (problems := check_gallery(repaired).problems):
        raise AssertionError(f"what was repaired is not sound: {problems}")
    return "sentence" if code else "silent"


def try_weights(folder: Path, random: Random) -> str:
    """A network that is damaged or that is another one."""
    from reid.runtime import open_embedder
    from tracker.build import build_detector
    from tracker.config import UltralyticsDetectorConfig

    path = folder / f"weights{random.choice(['.onnx', '.safetensors'])}"
    original = WEIGHTS.with_suffix(path.suffix).read_bytes()
    path.write_bytes(damage(original, random))
    if random.random() < 0.3 and path.suffix == ".onnx":
        build_detector(UltralyticsDetectorConfig(weights=str(path)), {})
        return "silent"
    open_embedder(path).embed([np.zeros((128, 64, 3), np.uint8)])
    return "silent"


def try_address(folder: Path, random: Random) -> str:
    """An address, or a list of them, of which no secret may be shown."""
    from tracker.sources import locate_cameras

    parts = [
        "rtsp",
        "http",
        "://",
        ":",
        "/",
        "@",
        "?",
        "#",
        "&",
        "=",
        "[",
        "]",
        "host",
        "me",
        "pw",
        "..",
        "%",
        " ",
        "é",
    ]
    parts += [
        "concat:",
        "file:",
        "subfile,,start,0,end,0,,:",
        "pipe:",
        "data:",
        "\x1b[31m",
        "\udcff",
        "0",
        ".mp4",
    ]
    text = "".join(map(str, random.choice(parts, int(random.integers(1, 12)))))
    addresses = [text]
    if random.random() < 0.3:
        (folder / "all.streams").write_text(text, encoding="utf-8", errors="replace")
        addresses = [str(folder / "all.streams")]
    secret = f"rtsp://me:SECRET@host/{text.replace('@', '')}"
    for given in (addresses, [secret]):
        if "SECRET" in str(locate_cameras(given)):
            raise AssertionError(f"a secret is shown of {given}")
    return "answer"


def run_quietly(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run a command that prints into nothing; its exit code."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return main(arguments)
        except SystemExit as end:
            return int(end.code or 0)


KINDS: Mapping[str, Callable[[Path, Random], str]] = {
    "yaml": try_yaml,
    "mot": try_mot,
    "video": try_video,
    "gallery": try_gallery,
    "weights": try_weights,
    "address": try_address,
}


def try_one(kind: str, seed: int, number: int) -> tuple[str, str]:
    """The outcome of one input, and its traceback if there is one."""
    random = np.random.default_rng([seed, number, *kind.encode()])
    with tempfile.TemporaryDirectory(prefix="reunite-fuzz-") as folder:
        try:
            return KINDS[kind](Path(folder), random), ""
        except ReuniteError as error:
            return "sentence", str(error)
        except Exception:  # noqa: BLE001  (that is what is looked for)
            return "traceback", traceback.format_exc()


def work(pipe: Connection, timeout_s: float) -> None:
    """Try what comes through the pipe; what a library writes by itself goes nowhere."""
    av.logging.set_level(None)
    while True:
        task = pipe.recv()
        signal.setitimer(signal.ITIMER_PROF, timeout_s)  # which ends the process, also inside a library
        outcome = try_one(*task)
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send(outcome)


class Worker:
    """A process that tries inputs, and is started again when one kills or hangs it."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=work, args=(other, self._timeout_s), daemon=True)
        self._process.start()
        other.close()

    def try_one(self, kind: str, seed: int, number: int) -> tuple[str, str]:
        """As `try_one`, and what became of the process."""
        try:
            self._pipe.send((kind, seed, number))
            if self._pipe.poll(BLOCKED * self._timeout_s):
                outcome: tuple[str, str] = self._pipe.recv()
                return outcome
            return self._again("hang", f"no answer for {BLOCKED * self._timeout_s:g} s")
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join(5)
            if self._process.exitcode == -signal.SIGPROF:
                return self._again("hang", f"no answer in {self._timeout_s:g} s of processor time")
            return self._again("crash", f"the process ended ({self._process.exitcode})")

    def _again(self, outcome: str, why: str) -> tuple[str, str]:
        self.close()
        self._start()
        return outcome, why

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def main() -> int:
    """Try all inputs and print what became of them; 1 if one did what must not be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=2000, help="how many in all (default: 2000)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument(
        "--timeout-s",
        type=float,
        default=60.0,
        help="processor time without an answer that is a hang; ten times as long by the clock is one too",
    )
    arguments = parser.parse_args()
    counts = {kind: Counter[str]() for kind in arguments.kinds}
    worker = Worker(arguments.timeout_s)
    for number in range(arguments.first, arguments.first + arguments.inputs):
        kind = arguments.kinds[number % len(arguments.kinds)]
        outcome, why = worker.try_one(kind, arguments.seed, number)
        counts[kind][outcome] += 1
        if outcome in BAD:
            print(
                f"{outcome}: {kind}, seed {arguments.seed}, number {number}\n{why}",
                file=sys.stderr,
                flush=True,
            )
    worker.close()
    width = shutil.get_terminal_size().columns
    print(f"{'kind':10}" + "".join(f"{outcome:>11}" for outcome in OUTCOMES)[: width * 2])
    for kind, found in counts.items():
        print(f"{kind:10}" + "".join(f"{found[outcome]:11}" for outcome in OUTCOMES))
    total = sum(counts.values(), Counter[str]())
    print(f"{'all':10}" + "".join(f"{total[outcome]:11}" for outcome in OUTCOMES))
    return int(any(total[outcome] for outcome in BAD))


if __name__ == "__main__":
    sys.exit(main())
