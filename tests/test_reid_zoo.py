"""Networks by name: found where they lie, downloaded once, and never half or wrong."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from foundation.errors import ReuniteError
from reid.runtime import open_embedder
from reid.weights import DEFAULT_WEIGHTS
from reid.zoo import ZOO, ZOO_CONVENTION, ZooFile, find_network
from tests.conftest import shared_folder

NAME = "person-reidentification-retail-0288"


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that answers each GET so; its address and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}", asked
        finally:
            http.shutdown()
            thread.join()


def reply(handler: BaseHTTPRequestHandler, content: bytes, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) if length is None else length))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.mark.real
def test_a_network_of_the_zoo_is_downloaded_once_checked_and_opens(tmp_path: Path) -> None:
    def serve(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, (shared_folder() / "weights" / handler.path.lstrip("/")).read_bytes())

    with server(serve) as (url, asked):
        found = find_network(NAME, tmp_path / "weights", url)
        assert sorted(asked) == [f"/{NAME}/FP16/{NAME}{end}" for end in (".bin", ".xml")]
        assert find_network(NAME, tmp_path / "weights", url) == found
        assert len(asked) == 2
    assert found.convention == ZOO_CONVENTION
    pytest.importorskip("openvino")
    assert open_embedder(found.path, convention=found.convention).embedding_length == 256


@pytest.mark.real
@pytest.mark.parametrize("name", ZOO)
def test_the_published_sizes_and_checksums_are_those_of_the_files(name: str) -> None:
    import hashlib

    for suffix, wanted in ZOO[name].items():
        content = (shared_folder() / "weights" / name / "FP16" / f"{name}{suffix}").read_bytes()
        assert ZooFile(len(content), hashlib.sha384(content).hexdigest()) == wanted


@pytest.mark.real
@pytest.mark.parametrize("name", ZOO)
def test_files_are_found_where_the_zoos_downloader_puts_them(name: str) -> None:
    found = find_network(name, shared_folder() / "weights", url="http://127.0.0.1:9")
    assert found == (shared_folder() / "weights" / name / "FP16" / f"{name}.xml", ZOO_CONVENTION)


def size_of(name: str) -> int:
    return ZOO[name][".bin"].size


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda handler: reply(handler, bytes(size_of(NAME))), "not the file that was published"),
        (lambda handler: reply(handler, bytes(size_of(NAME) + 1)), "not the file that was published"),
        (lambda handler: reply(handler, bytes(1000), size_of(NAME)), "cut off after 1000 of 364098 bytes"),
        (lambda handler: reply(handler, b""), "cut off after 0 of 364098 bytes"),
        (lambda handler: handler.send_error(403), "the server refused it (403 Forbidden)"),
        (lambda handler: handler.send_error(404), "the server refused it (404 Not Found)"),
    ],
    ids=["wrong", "too long", "cut", "empty", "refused", "not there"],
)
def test_a_bad_download_is_one_sentence_and_leaves_nothing(
    answer: Callable[[BaseHTTPRequestHandler], None], said: str, tmp_path: Path
) -> None:
    with server(answer) as (url, _), pytest.raises(ReuniteError) as caught:
        find_network(NAME, tmp_path, url)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_error_says_where_to_get_the_file(tmp_path: Path) -> None:
    with server(lambda _: None) as (url, _):
        pass  # nobody listens there any more
    with pytest.raises(
        ReuniteError, match=rf"cannot be downloaded .* get it from {url}/{NAME}/FP16/{NAME}.bin by hand"
    ):
        find_network(NAME, tmp_path, url)


def test_paths_files_of_the_folder_and_our_own_names_are_found(tmp_path: Path) -> None:
    mine = tmp_path / "mine.onnx"
    mine.touch()
    assert find_network(str(mine), Path("elsewhere")).path == mine
    assert find_network("mine.onnx", tmp_path).path == mine
    assert find_network(DEFAULT_WEIGHTS.stem, tmp_path).path == DEFAULT_WEIGHTS
    with pytest.raises(
        ReuniteError, match=r"nothing-here: no such file, .* known are robust-reid-025x, .*0288"
    ):
        find_network("nothing-here", tmp_path)
