"""A network in two halves: pictures whose early embedding suffices cost the first alone.

`reid.early` makes the files; the whole network's own file stays what it is.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import EmbeddingArray, Image
from foundation.onnx_session import open_onnx
from reid.runtime import OPENERS, Embedder, EmbedderError, How, Runtime, open_embedder, unit_rows

EXITS_KEY = "reunite_exits"
"""In the metadata of both files of an early exit: to which weights they belong (SHA-256), the length of the
embedding, and the share of the network's multiply-adds that comes before the exit, as JSON."""


def exit_files(weights: Path) -> tuple[Path, Path]:
    """Where the two halves of a network with an early exit lie: beside its weights."""
    return weights.with_name(f"{weights.stem}-early.onnx"), weights.with_name(f"{weights.stem}-later.onnx")


PRIOR_CROPS = 30.0
"""What was fitted to training pictures weighs as much as this many crops of the site, in each direction."""

CONSTANT = 4.0
"""Beside the numbers of a code, whose deviation is 1."""


@dataclass(frozen=True, slots=True)
class EarlyExit:
    """A network in two halves.

    Attributes:
        first: Of pictures, early embedding, code and state in one row; see `reid.models.early.EarlyStage`.
        infer_rest: From (B, S) states to (B, D) embeddings.
        embedding_length: D.
        code_length: K.
        share: Of the network's multiply-adds, those of the first half.
    """

    first: Embedder
    infer_rest: Callable[[EmbeddingArray], EmbeddingArray]
    embedding_length: int
    code_length: int
    share: float

    def begin(self, images: Sequence[Image]) -> tuple[EmbeddingArray, EmbeddingArray, EmbeddingArray]:
        """(N, D) early embeddings, not of length 1, (N, K) codes and (N, S) states of N pictures."""
        ends = np.cumsum((self.embedding_length, self.code_length))
        early, codes, states = np.split(self.first.run(images), ends, axis=1)
        return early, codes, states

    def finish(self, states: EmbeddingArray) -> EmbeddingArray:
        """(N, D) embeddings of length 1, as the whole network gives them, of N states."""
        found = np.empty((len(states), self.embedding_length), np.float32)
        for start in range(0, len(states), self.first.batch_size):
            some = slice(start, start + self.first.batch_size)
            found[some] = self.infer_rest(states[some])
        return unit_rows(self.first.name, found)


class SiteHead:
    """What early embeddings are off by at this site, learnt as crops go through the whole network.

    A ridge regression on codes by recursive least squares: after N crops it is what one over all N gives.
    The same people before the same background come again and again, so it soon says far more of them than
    what was fitted to training pictures.
    """

    def __init__(self, code_length: int, embedding_length: int) -> None:
        """Begin with early embeddings as they are."""
        self._spread = np.eye(code_length + 1) / PRIOR_CROPS
        self._weights = np.zeros((code_length + 1, embedding_length))

    def correct(self, early: EmbeddingArray, codes: EmbeddingArray) -> EmbeddingArray:
        """(N, D) early embeddings of length 1, of (N, D) as they are and (N, K) codes."""
        return np.asarray(_unit(early + _with_one(codes) @ self._weights), np.float32)

    def learn(self, early: EmbeddingArray, codes: EmbeddingArray, embeddings: EmbeddingArray) -> None:
        """(N, D) early embeddings of (N, K) codes should have been these (N, D)."""
        for code, off in zip(_with_one(codes), embeddings - early, strict=True):
            spread = self._spread @ code
            gain = spread / (1 + code @ spread)
            self._weights += np.outer(gain, off - code @ self._weights)
            self._spread -= np.outer(gain, spread)

    def state(self) -> dict[str, NDArray[Any]]:
        return {"spread": self._spread.copy(), "weights": self._weights.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._spread, self._weights = state["spread"].copy(), state["weights"].copy()


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float64)


def _with_one(codes: EmbeddingArray) -> NDArray[np.float64]:
    """(N, K + 1) with a constant, which learns what all people of the site have in common quickly."""
    return np.concatenate((codes, np.full((len(codes), 1), CONSTANT)), axis=1, dtype=np.float64)


def open_exit(weights: Path, fingerprint: str, runtime: Runtime, batch_size: int) -> EarlyExit:
    """Open the early exit of a network.

    Args:
        weights: Of the network; both halves lie beside it.
        fingerprint: SHA-256 of the weights.
        runtime: ``auto``, ``onnx`` or ``openvino``.
        batch_size: The most pictures at a time.

    Raises:
        EmbedderError: There is no exit, or it is of other weights, or cannot run there.
    """
    first, rest = exit_files(weights)
    if not (first.is_file() and rest.is_file()):
        raise EmbedderError(
            f"{weights}: has no early exit ({first.name} and {rest.name} beside it); make it with: "
            "reunite export WEIGHTS.safetensors --to onnx --early --data KIND=PATH; or leave exits out"
        )
    opened = open_embedder(first, runtime, batch_size=batch_size)
    chosen = "openvino" if opened.runtime.startswith("openvino") else "onnx"
    infer_rest = OPENERS[".onnx"][chosen](rest, How(chosen, False, False, "")).infer
    texts = [
        open_onnx(it, gpu=False).get_modelmeta().custom_metadata_map.get(EXITS_KEY) for it in (first, rest)
    ]
    about = json.loads(texts[0]) if texts[0] and texts[0] == texts[1] else {}
    if about.get("weights") != fingerprint:
        raise EmbedderError(
            f"{first}: is an exit of other weights than {weights.name}; make it anew with: reunite export "
            "WEIGHTS.safetensors --to onnx --early --data KIND=PATH"
        )
    return EarlyExit(opened, infer_rest, about["embedding_length"], about["code_length"], about["share"])


def _about(path: Path) -> str:
    return str(open_onnx(path, gpu=False).get_modelmeta().custom_metadata_map.get(EXITS_KEY, ""))
