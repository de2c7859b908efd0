"""Networks by name: our own, and those of the Open Model Zoo, downloaded once and checked."""

import argparse
import hashlib
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from foundation.errors import ReuniteError
from foundation.files import open_whole
from foundation.weights import find_weights, weights_folder
from reid.runtime import CONVENTIONS, RUNTIMES, Embedder, open_embedder
from reid.weights import SHIPPED

ZOO_URL = "https://storage.openvinotoolkit.org/repositories/open_model_zoo/2023.0/models_bin/1"
"""Where the zoo's release 2023.0 publishes its networks, each as NAME/FP16/NAME.xml and .bin."""

ZOO_CONVENTION = "bgr255"
"""How all of them want their pictures; a name in `reid.runtime.CONVENTIONS`."""

TIMEOUT_S = 20.0
"""A download is given up when nothing came for this long."""

CHUNK = 1 << 16


class ZooFile(NamedTuple):
    """A published file: its number of bytes, and its SHA-384 in hexadecimal."""

    size: int
    sha384: str


ZOO: Mapping[str, Mapping[str, ZooFile]] = {
    "person-reidentification-retail-0277": {
        ".bin": ZooFile(
            4178806,
            "0466aa71c44a14aa902a609c6500f4bc087cabbfa09c1e5bfb309f0a7e89fcdd9971e0359663e31803e3611bfa4d2353",
        ),
        ".xml": ZooFile(
            616140,
            "554b403108fea776cb54c971c4c8acfaaeaae3884b5945eefbcbad8b9ed3c84f0382cb72c666c02c07129826a668d79e",
        ),
    },
    "person-reidentification-retail-0286": {
        ".bin": ZooFile(
            2453724,
            "5c53f14f0bf4c9f7cc779a0e3dd424e6226b45954706aecde9056858e1469538091d16a1763f968955f86aabf1c4f42a",
        ),
        ".xml": ZooFile(
            611793,
            "8bee621289b7b8f29ffdaf1eb86af4f0b9bd3077d134676f2f53c5fd86f9103405a2ce5c605f548ae9261dead48849e2",
        ),
    },
    "person-reidentification-retail-0287": {
        ".bin": ZooFile(
            1181124,
            "ad86ea0b8661e43b01482fef63b2fe423ec9df8e55f6283f28c01094223f7731e4d60de5700036e6a2df7ebae0f5012d",
        ),
        ".xml": ZooFile(
            614946,
            "922cc5560fa298a9f02cac5bad5cbeeaee2a913ec435ae6f446d0c783936598b333c017ce1a702b605c2fd7fa33a6ee7",
        ),
    },
    "person-reidentification-retail-0288": {
        ".bin": ZooFile(
            364098,
            "0a5ca9d000ce63b078149a3aa3993cd6e92d52fdecf1ff58fbe717481c2043db348938c32fed964846817dc321825a4c",
        ),
        ".xml": ZooFile(
            614533,
            "18814c6445b35224987bc44bcbdb47da6c3826e5da0b6aa00a88c06bf71491a8c4f42e1f62424c077cce46e76a41f7a2",
        ),
    },
}
"""By name, the files in half precision, Apache-2.0: the sizes and checksums of the zoo's own model.yml."""


class Network(NamedTuple):
    """A file that `reid.runtime.open_embedder` opens, and the convention that it needs, if it is known."""

    path: Path
    convention: str | None


def add_network_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What a command that opens a network may be told of it; the group, for more."""
    network = parser.add_argument_group("the network")
    network.add_argument("--runtime", choices=RUNTIMES, default="auto", help="what to run on (default: auto)")
    network.add_argument(
        "--preprocess",
        choices=tuple(CONVENTIONS),
        help="how pictures are prepared for a network that does not say so itself",
    )
    return network


def open_asked(arguments: argparse.Namespace) -> Embedder:
    """The network that ``weights`` and the options of `add_network_options` name.

    Raises:
        ReuniteError: As `find_network` and `open_embedder`.
    """
    network = find_network(arguments.weights, weights_folder(""))
    return open_embedder(network.path, arguments.runtime, arguments.preprocess or network.convention)


def find_network(name: str, folder: Path, url: str = ZOO_URL) -> Network:
    """The network that a name or a path means; one of the zoo is downloaded where it is not there yet.

    Args:
        name: A path; a file in ``folder``; one of our own, such as ``robust-reid-025x``; or one of `ZOO`.
        folder: The folder of weights. The zoo's files are looked up here, also where its own downloader puts
            them, and downloaded to it.
        url: Where the zoo is.

    Raises:
        ReuniteError: There is no such network, or it cannot be downloaded.
    """
    if (path := find_weights(name, folder)) is not None and path.is_file():
        return Network(path, None)
    if name in SHIPPED:
        return Network(SHIPPED[name], None)
    if name not in ZOO:
        known = ", ".join([*SHIPPED, *ZOO])
        raise ReuniteError(
            f"{name}: no such file, here or in {folder}, and no network of that name; known are {known}"
        )
    places = [folder / f"{name}.xml"]
    places += [folder / above / name / "FP16" / f"{name}.xml" for above in ("", "intel")]
    for path in places:
        if path.is_file() and path.with_suffix(".bin").is_file():
            return Network(path, ZOO_CONVENTION)
    for suffix, file in ZOO[name].items():  # the weights first: with the .xml all is there
        _download(f"{url}/{name}/FP16/{name}{suffix}", places[0].with_suffix(suffix), file)
    return Network(places[0], ZOO_CONVENTION)


def _download(address: str, path: Path, wanted: ZooFile) -> None:
    """Fetch a published file; it takes its name only when all of it is there and right."""
    way_out = f"get it from {address} by hand and put it into {path.parent}, or try again"
    digest, size = hashlib.sha384(), 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer,
            open_whole(path) as file,
            _progress() as progress,
        ):
            task = progress.add_task(path.name, total=wanted.size)
            while chunk := answer.read(CHUNK):
                size += len(chunk)
                if size > wanted.size:
                    break
                digest.update(chunk)
                file.write(chunk)
                progress.advance(task, len(chunk))
            if size < wanted.size:
                raise ReuniteError(f"{path.name}: cut off after {size} of {wanted.size} bytes; {way_out}")
            if size > wanted.size or digest.hexdigest() != wanted.sha384:
                raise ReuniteError(
                    f"{path.name}: not the file that was published (size or SHA-384); {way_out}"
                )
    except urllib.error.HTTPError as error:
        error.close()
        raise ReuniteError(
            f"{path.name}: the server refused it ({error.code} {error.reason}); {way_out}"
        ) from None
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise ReuniteError(f"{path.name}: cannot be downloaded ({reason}); {way_out}") from None
    except OSError as error:
        raise ReuniteError(f"{path}: cannot be written ({error.strerror})") from None


def _progress() -> Progress:
    columns = (
        TextColumn("downloading {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
