"""What cosines mean travels with the weights, and the tracker starts from it."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError
from reid.checkpoint import load_model, save_weights, write_prior
from reid.evaluate import main
from reid.models import build_model
from reid.preprocess import Preprocess
from reid.stored_prior import PRIOR_KEY, find_prior
from tests.drawn_people import TINY
from tracker.build import similarity_of
from tracker.config import SimilarityConfig
from tracker.embedders.none import NoEmbedder
from tracker.types import Network

PRIOR = CosinePrior(-0.05, 0.14, 0.15, 0.07, 0.26, 0.68, 0.13, 0.65, 0.15)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    network = build_model("robust-reid-025x", **TINY)
    save_weights(path, network, "robust-reid-025x", TINY, Preprocess(64, 32), {"why": "a test"})
    return path


def test_weights_say_what_their_cosines_mean_and_are_otherwise_as_before(weights: Path) -> None:
    assert find_prior(weights) is None
    before, *described = load_model(weights)
    for prior in (CosinePrior(), PRIOR):
        write_prior(weights, prior)
        assert find_prior(weights) == prior
    after, *described_now = load_model(weights)
    assert described_now == described
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name])


def test_an_export_has_the_prior_of_the_weights_beside_it(weights: Path) -> None:
    write_prior(weights, PRIOR)
    assert find_prior(weights.with_suffix(".onnx")) == PRIOR
    assert find_prior(weights.with_name("another.onnx")) is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("{", "Expecting property name"),
        ("3", "must be an object"),
        ('{"mean_same": 0.7}', "must hold mean_different, .* holds mean_same"),
        (json.dumps(asdict(PRIOR) | {"mean_same": "high"}), "mean_same must be a number, got 'high'"),
        (json.dumps(asdict(PRIOR) | {"sd_same": 0}), "sd_same must be from 0 to 1, got 0"),
        (json.dumps(asdict(PRIOR) | {"mean_same": -0.5}), "mean_different must be below"),
    ],
)
def test_a_damaged_prior_is_a_sentence_with_the_way_out(weights: Path, said: str, reason: str) -> None:
    with safe_open(weights, framework="pt") as file:
        metadata = file.metadata()
    save_file(load_file(weights), weights, metadata | {PRIOR_KEY: said})
    with pytest.raises(ReuniteError, match=f"damaged \\({reason}.*reunite judge tiny.safetensors"):
        find_prior(weights)


@dataclass
class Embedding(NoEmbedder):
    """Embeds nothing, but says what its cosines mean."""

    network: Network | None = None
    prior: CosinePrior | None = None


def test_what_is_configured_goes_before_what_the_weights_say(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    known = Embedding(Network("known", "f00", 8), PRIOR)
    assert similarity_of(SimilarityConfig(), known).prior == PRIOR
    both = similarity_of(SimilarityConfig(mean_same=0.5, prior_pairs=7), known)
    assert (both.mean_same, both.sd_same, both.prior_pairs) == (0.5, 0.13, 7)
    with pytest.raises(ReuniteError, match=r"identity.similarity, with .* network: mean_different must be"):
        similarity_of(SimilarityConfig(mean_same=-0.9), known)
    assert not caplog.messages


def test_a_network_whose_cosines_are_not_known_gets_the_default_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    unknown = Embedding(Network("unknown", "f00", 8))
    assert similarity_of(SimilarityConfig(), unknown).prior == CosinePrior()
    [said] = caplog.messages
    assert said.startswith("embedder unknown: what its cosines mean is not known")
    caplog.clear()
    similarity_of(similarity_of(SimilarityConfig(), unknown), unknown)  # all of it is given
    assert similarity_of(SimilarityConfig(), Embedding()).prior == CosinePrior()  # nothing is compared
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("tiny.safetensors", ["--write"], "--write: goes with --prior and one --data"),
        ("tiny.onnx", ["--write", "--prior"], "tiny.onnx is no .safetensors of this project"),
    ],
)
def test_what_cannot_be_written_is_said_before_all_the_work(
    weights: Path, capsys: pytest.CaptureFixture[str], name: str, options: list[str], said: str
) -> None:
    path = weights.with_name(name)
    path.touch()
    assert main([str(path), "--data", "market1501=nowhere", *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
