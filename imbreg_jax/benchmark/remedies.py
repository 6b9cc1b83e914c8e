"""How much longer an epoch takes with a remedy than with none, in turn with it.

The task is the paper's, under N(5.5, 1), where every remedy that is shipped has something to do.
What a remedy makes on the host before training, such as weights and recipes, is not timed.
"""

from typing import NamedTuple

from imbreg_jax.benchmark import ours
from imbreg_jax.remedies import REMEDIES
from imbreg_jax.study import ConfigError

LAW = 'n5_5_1'


class Beside(NamedTuple):
    """One remedy beside none, round by round.

    Attributes:
      passes: how often an image goes through a network in an epoch, views and members counted.
      seconds: of an epoch of all repeats.
      usual: those of no remedy, timed right before each.
      refused: why it cannot be timed; '' if it was.
    """

    passes: int
    seconds: list[float]
    usual: list[float]
    refused: str = ''

    @property
    def ratios(self) -> list[float]:
        """How many times as long it takes, by round."""
        return [own / usual for own, usual in zip(self.seconds, self.usual, strict=True)]


def measure(runs: int, train_size: int, precision: str, rounds: int) -> dict[str, Beside]:
    """Times an epoch of each registered remedy, at its defaults, beside one of no remedy.

    Args:
      runs: repeats that train at once.
      train_size: images in the training set.
      precision: of matrix products.
      rounds: timed rounds of each.
    """

    def training(remedy: str) -> ours.Training:
        # Two epochs: some do nothing in the first.
        fields = {'train_distribution': LAW, 'remedy': remedy, 'training.epochs': 2}
        made = ours.Training(ours.study_of(runs, train_size, precision, fields))
        made.epoch()  # What is done at its end is compiled now.
        return made

    none, found = training(''), {}
    for name in REMEDIES:
        try:
            own = training(name)
        except ConfigError as error:
            found[name] = Beside(0, [], [], str(error))
            continue
        remedy = own.study.conditions[0].remedy
        beside = Beside(remedy.members * remedy.views, [], [])
        for _ in range(rounds):
            beside.usual.append(none.epoch())
            beside.seconds.append(own.epoch())
        found[name] = beside
        own.release()
    return found
