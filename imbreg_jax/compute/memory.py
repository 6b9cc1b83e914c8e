"""The memory that a study needs on its devices, predicted from shapes, and what there is."""

import dataclasses
from collections.abc import Hashable
from typing import Any

from imbreg_jax.compute import limits, units
from imbreg_jax.data import synthetic
from imbreg_jax.study import Condition, Run, Study

# Images that all runs of one accelerator evaluate at once.
EVALUATED_AT_ONCE = 8_000
FLOAT = 4


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes a study needs on its devices, predicted from shapes alone.

    Attributes:
      per_run: a run's parameters, optimiser state, targets and (on accelerators, where all runs
        step at once) the working set of a training step.
      per_noise: a repeat's cached noise (training and validation images).
      per_images: the same images, cached whole.
      per_device: the working set of evaluation and (on CPU) of a training step.
      fixed: what does not grow.
    """

    per_run: int
    per_noise: int
    per_images: int
    per_device: int
    fixed: int

    def total(
        self, runs: int, tables: int, devices: int, cached: bool, rendered: bool = False
    ) -> int:
        """Bytes for so many runs and tables of noise or images, with or without these."""
        kept = tables * (self.per_images if rendered else self.per_noise) if cached else 0
        return self.fixed + devices * self.per_device + runs * self.per_run + kept


def of(study: Study, condition: Condition, platform: str) -> Memory:
    """Predicts a study's memory; see `Memory`.

    The working set of a step is counted as the arrays that live at its backward pass's peak: per
    image the pixels, and each convolution's patches or shifted products, forward and backward, and
    what a remedy's loss says that it holds beside these. A remedy's pass at an epoch's end has the
    features of all training images instead.
    """
    data = condition.data
    size = data.image_size
    network = condition.architecture
    per_image = 2 * network.channels * size**2
    for layer, taken in zip(network.convolutions, network.blocks, strict=True):
        inputs = layer.edge**2 * layer.inputs
        outputs = layer.outputs * (layer.block if layer.folded else layer.edge) ** 2
        per_image += taken**2 * layer.taps**2 * (min(inputs, outputs) + outputs)
    remedy, batch = condition.remedy, condition.training.batch_size
    views = remedy.views * (2 if remedy.recipe == 'mix' else 1)
    step = FLOAT * int(batch * views * per_image + remedy.held(batch * remedy.views))
    if remedy.folds:
        step = max(step, FLOAT * data.train_size * condition.model.dense_features)
    evaluated = evaluated_at_once(study)
    if platform != 'cpu':
        evaluated = max(evaluated, EVALUATED_AT_ONCE)
    evaluation = int(evaluated * per_image * FLOAT)
    state = 4 * network.parameters * FLOAT
    walked = data.train_size + data.validation_size
    # Generating values, targets, a remedy's weights and recipe, and the order of an epoch and of
    # the next; test and dense sets have generating values.
    others = data.test_size * len(study.test_distributions) + study.evaluation.dense_size
    if study.evaluation.validation_under_test:
        others += data.validation_size * len(study.test_distributions)
    arrays = FLOAT * (6 * walked + others)
    noise = walked * size**2 * FLOAT
    images = network.channels * noise
    if platform == 'cpu':
        return Memory(state + arrays, noise, images, step + evaluation, 2**28)
    return Memory(state + arrays + step, noise, images, evaluation, 2**29)


def evaluated_at_once(study: Study) -> int:
    """Images of a run that are evaluated at a time: no more than a split has, of all test laws."""
    batch = study.evaluation.batch_size
    most = max(condition.data.validation_size for condition in study.conditions)
    largest = max(most, study.evaluation.dense_size, study.evaluation.moment_images)
    under_tests = study.test_size
    if study.evaluation.validation_under_test:
        under_tests = max(under_tests, most)
    return max(min(batch, largest), min(batch, under_tests) * len(study.test_distributions))


def renders(study: Study) -> bool:
    """Whether a study has images that are worth keeping whole."""
    return any(map(synthetic.draws, study.conditions))


def bytes_needed(
    study: Study, platform: str, devices: int, runs: int, cached: bool, rendered: bool = False
) -> int:
    """Bytes that a study's largest program needs with so many runs at once.

    Args:
      study: the study.
      platform: of its devices.
      devices: how many.
      runs: of a unit, at most.
      cached: whether noise or images are kept on the devices.
      rendered: whether images are, of tasks that draw.
    """
    parts: dict[int, list[units.Unit]] = {}
    for unit in units.cut(study, runs):
        parts.setdefault(unit.program, []).append(unit)

    def table(run: Run) -> Hashable:
        return synthetic.table_of(study.conditions[run.condition_index], run.repeat, rendered)

    def of_program(program: int, group: tuple[int, ...]) -> int:
        first = study.conditions[group[0]]
        together = min(runs, len(study.runs_of(program)))
        tables = units.most_tables(parts[program], devices, table) if cached else 0
        return of(study, first, platform).total(
            -(-together // devices) * devices, tables * devices, devices, cached,
            rendered and synthetic.draws(first),
        )  # fmt: skip

    groups = study.programs()
    return max(of_program(program, groups[program]) for program in parts)


def available_bytes(devices: list[Any]) -> int:
    """Bytes of memory that the devices may use together."""
    if devices[0].platform != 'cpu':
        granted = [(d.memory_stats() or {}).get('bytes_limit', 2**33) for d in devices]
        return int(min(granted)) * len(devices)
    return limits.host_bytes()
