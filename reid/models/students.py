"""Several networks that are trained together, so that each learns from the outputs of the others."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid.models.heads import ReidOutput


class Students(nn.Module):
    """Networks side by side on the same pictures; the first is the result, the others are dropped.

    Outputs of the first keep their names; those of the second are called ``student2/NAME``, and so on.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        """Put them together.

        Raises:
            ReuniteError: They want pictures prepared in different ways.
        """
        super().__init__()
        self.networks = nn.ModuleList(networks)
        if any(network.preprocess != networks[0].preprocess for network in networks):
            raise ReuniteError("mutual.models: take pictures of another size than model; they must be of one")
        self.preprocess = networks[0].preprocess
        self.embedding_length = networks[0].embedding_length
        self.head_lengths = networks[0].head_lengths

    def forward(self, images: Tensor) -> ReidOutput:
        """(B, 3, H, W) to the outputs of all; ``others`` has the embedding of each."""
        first, *more = [network(images) for network in self.networks]
        features, logits, others = dict(first.features), dict(first.logits), dict(first.others)
        others["embedding"] = first.embedding
        for number, output in enumerate(more, start=2):
            for own, its in ((features, output.features), (logits, output.logits), (others, output.others)):
                own |= {f"student{number}/{name}": value for name, value in its.items()}
            others[f"student{number}/embedding"] = output.embedding
        return ReidOutput(first.embedding, features, logits, others)


def first_student(model: nn.Module) -> nn.Module:
    """What is kept of a training: the first of several students, or the network itself."""
    return model.networks[0] if isinstance(model, Students) else model


def of_students(named: Mapping[str, Tensor], name: str) -> list[Tensor]:
    """The outputs of this name of all students that have one, in the order of the students."""
    return [value for key, value in named.items() if key == name or key.partition("/")[2] == name]
