"""The search: which values are tried next, and a file of all trials so that none is ever lost."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.samplers import TPESampler

from foundation.errors import ReuniteError
from foundation.files import write_whole
from tracker.tune.keys import Range

IMPORTANCE_TRIALS = 30
"""Fewer trials do not say which numbers matter."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One try.

    Attributes:
        values: The number tried under each key, as the search gave it; `Range.rounded` says what was run.
        figures: HOTA, MOTA, IDF1 as fractions, IDSW.
    """

    values: Mapping[str, float]
    figures: Mapping[str, float]


class Search:
    """Says what to try next, by what all trials so far gave. The present values come first.

    What comes next depends on the trials and the seed alone, so a search that was cut off and one that was
    not try the same.

    Source: tree-structured Parzen estimator (Bergstra et al. 2011), as Optuna has it.
    """

    def __init__(self, ranges: Mapping[str, Range], metric: str, seed: int, trials: Sequence[Trial]) -> None:
        """Take up the trials of a search that was cut off, or none.

        Args:
            ranges: By key.
            metric: The figure to be as high as can be.
            seed: What decides chance.
            trials: In the order in which they were made.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.metric, self._ranges, self._seed = metric, ranges, seed
        self._distributions: dict[str, BaseDistribution] = {
            key: IntDistribution(int(it.low), int(it.high), log=it.log)
            if it.is_whole
            else FloatDistribution(it.low, it.high, log=it.log)
            for key, it in ranges.items()
        }
        self._study = optuna.create_study(direction="maximize")
        self.trials: list[Trial] = []
        for trial in trials:
            self.tell(trial)

    def ask(self) -> dict[str, float]:
        """The values to try next, by key."""
        if not self.trials:
            return {key: it.present for key, it in self._ranges.items()}
        seed = np.random.SeedSequence([self._seed, len(self.trials)]).generate_state(1)
        sampler = TPESampler(seed=int(seed[0]))
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(self._study.trials)
        return dict(study.ask(self._distributions).params)

    def tell(self, trial: Trial) -> None:
        """Take in what a trial gave."""
        self.trials.append(trial)
        self._study.add_trial(
            optuna.trial.create_trial(
                params=dict(trial.values),
                distributions=self._distributions,
                value=trial.figures[self.metric],
            )
        )

    @property
    def best(self) -> Trial:
        """The first of the best trials, so the present values where nothing is better."""
        return max(self.trials, key=lambda trial: trial.figures[self.metric])

    def importance(self) -> dict[str, float]:
        """By key, the share of what makes a trial one of the best; empty where too few were made.

        Equal shares where the best trials are no better than the others.

        Source: PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255).
        """
        if len(self.trials) < IMPORTANCE_TRIALS:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is experimental, or that the shares are equal
            evaluator = PedAnovaImportanceEvaluator()
            return dict(get_param_importances(self._study, evaluator=evaluator))


class TrialLog:
    """A file with one line for the settings of the search, then one for each trial, added as it ends."""

    def __init__(self, path: Path, trials: Sequence[Trial]) -> None:
        self._path, self.trials = path, tuple(trials)

    @classmethod
    def begin(cls, path: Path, settings: Mapping[str, Any]) -> Self:
        """A new file.

        Raises:
            ReuniteError: It cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, f"{json.dumps(settings)}\n".encode())
        except OSError as error:
            raise ReuniteError(
                f"{path}: cannot be written: {error.strerror}; name another --output"
            ) from None
        return cls(path, [])

    @classmethod
    def reopen(cls, path: Path, settings: Mapping[str, Any]) -> Self:
        """The file of a search that was cut off, even in the middle of a line.

        Raises:
            ReuniteError: It cannot be read, or the search there has other settings.
        """
        try:
            content = path.read_bytes()
            content = content[: content.rfind(b"\n") + 1]
            before, *lines = map(json.loads, content.splitlines())
            trials = [Trial(**line) for line in lines]
            write_whole(path, content)
        except (OSError, ValueError, TypeError) as error:
            raise ReuniteError(
                f"{path}: cannot be read as the trials of a search ({error}); name another --output"
            ) from None
        now = json.loads(json.dumps(settings))
        other = sorted(key for key in {*now, *before} if now.get(key) != before.get(key))
        if other:
            raise ReuniteError(
                f"{path.parent}: the search there is another one, it differs in: {', '.join(other)}; give "
                "the command that began it and --resume, or another --output"
            )
        return cls(path, trials)

    def add(self, trial: Trial) -> None:
        """Keep one trial.

        Raises:
            ReuniteError: The disk is full.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(trial)) + "\n")
        except OSError as error:
            raise ReuniteError(
                f"{self._path}: cannot be written: {error.strerror}; make room, then give the same command "
                "with --resume"
            ) from None
