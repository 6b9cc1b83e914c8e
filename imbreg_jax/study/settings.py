"""The settings of a study: each field once, with its default, rule, meaning and role.

Everything else that is known of fields is derived from these classes; see `FIELDS` and `fields`.
A new field is one line here, and whatever reads it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from imbreg_jax.study.architecture import Architecture
from imbreg_jax.study.fields import (
    CODE,
    DIAL,
    HOST,
    LARGEST_TARGET,
    LAW,
    LAWS,
    OPTIONAL_NAME,
    SIGNALS,
    SWEEP,
    SWITCH,
    TABLE,
    TEXT,
    Field,
    Kind,
    declared,
    entry,
    field,
    integer,
    integers,
    looked_up,
    number,
    one_of,
    positive,
    rate,
)

LARGEST_SEED = 2**31 - 1
MOST_RUNS = 10**6
_TASKS = entry('imbreg_jax.data.tasks:TASKS')
_PIXEL_LAWS = entry('imbreg_jax.data.pixel_laws:PIXEL_LAWS')
_REMEDY = Kind('remedy', registry='imbreg_jax.remedies:parse')


@dataclasses.dataclass(frozen=True)
class StudySettings:
    """What stands at the top of a config."""

    name: str = field(
        '',
        OPTIONAL_NAME,
        'the study; the default workdir is workdirs/<name>, and overrides on the command line are '
        'added to it; empty: made from its law and all that departs from the defaults',
        HOST,
    )
    seed: int = field(
        0, integer(0, LARGEST_SEED), 'the root of every random number', TABLE, shared=True,
        also='random_seed rng random_state key',
    )  # fmt: skip
    repeats: int = field(
        10, integer(1, 100_000), 'independent trainings of each condition', TABLE, shared=True,
        also='n_repeats num_repeats runs n_runs seeds n_seeds replicates',
    )  # fmt: skip
    first_repeat: int = field(
        0, integer(0, LARGEST_SEED), 'number of the first repeat', TABLE, shared=True
    )
    train_distribution: str = field(
        'u1_10', LAW, 'law of the training targets', TABLE,
        also='distribution law target_distribution train targets',
    )  # fmt: skip
    test_distributions: tuple[str, ...] = field(
        ('u1_10', 'u1_5', 'n5_5_1'), LAWS, 'one test split for each', TABLE, shared=True,
        also='tests test test_laws laws distributions',
    )  # fmt: skip
    remedy: str = field(
        '', _REMEDY, 'method against imbalance, such as inverse(bins=20); empty: none', CODE,
        also='method reweighting resampling',
    )  # fmt: skip
    sweep: str = field(
        '', SWEEP,
        'values of fields, separated by commas, and fields by semicolons; every condition is made '
        'anew for each combination of them',
        HOST, also='grid sweeps vary scan',
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TaskSettings:
    """Which family of images is made, and what of an image is its target."""

    name: str = field(
        'std', _TASKS, 'which family of images, and which value of an image is its target', CODE,
        also='task statistic target_statistic',
    )  # fmt: skip
    target: str = field(
        'measured', one_of('measured', 'generating'),
        "the target: measured on the image's own pixels where the task has a statistic for that, "
        'or the generating value',
        DIAL,
    )  # fmt: skip
    ddof: int = field(
        0, one_of(0, 1), 'the measured std or variance divides by pixels - ddof', DIAL
    )


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """The images and the sizes of the splits."""

    image_size: int = field(
        52, integer(1, 512), 'pixels along each side', CODE,
        also='size image img_size resolution pixels',
    )  # fmt: skip
    pixel_law: str = field(
        'normal', _PIXEL_LAWS, 'law of the noise in a pixel, of mean 0 and standard deviation 1',
        CODE, also='noise noise_law pixels_law',
    )  # fmt: skip
    train_size: int = field(
        50_000, integer(1, 10**8), 'training images of a run', CODE,
        also='n_train num_train n samples n_samples dataset_size',
    )  # fmt: skip
    validation_size: int = field(
        5_000, integer(1, 10**8), 'validation images of a run', CODE,
        also='n_val val_size n_validation',
    )  # fmt: skip
    test_size: int = field(
        5_000, integer(1, 10**8), 'test images of a repeat, for each test distribution', CODE,
        shared=True, also='n_test num_test',
    )  # fmt: skip
    folds: int = field(
        0, integer(0, 1000),
        'k-fold cross-validation: k repeats share a data set, of which each validates on another '
        'part; 0: every repeat has a data set of its own',
        CODE, shared=True, also='k_fold kfold n_folds cross_validation cv n_splits',
    )  # fmt: skip
    cache: str = field(
        'auto', one_of('auto', 'always', 'never'),
        'keep the training images on the device; the values are the same either way', HOST,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """The network."""

    conv_features: tuple[int, ...] = field(
        (10, 20), integers(16, 1, 1024), 'output channels of each convolution', CODE,
        also='channels filters conv_channels convolutions',
    )  # fmt: skip
    kernel_size: int = field(
        5, integer(1, 63), 'pixels along each side of a convolution kernel', CODE,
        also='kernel filter_size',
    )  # fmt: skip
    dense_features: int = field(
        50, integer(1, 100_000), 'hidden features of the dense layer', CODE,
        also='hidden hidden_size dense units width',
    )  # fmt: skip
    pool: str = field(
        'average', one_of('average', 'max', 'none'),
        'what each 2×2 pixels become after a convolution', CODE, also='pooling pool_kind',
    )  # fmt: skip
    order: str = field(
        'pool_relu', one_of('pool_relu', 'relu_pool'),
        'which comes first after a convolution, the pool or the activation', CODE,
    )  # fmt: skip
    activation: str = field(
        'relu', entry('imbreg_jax.model.activations:ACTIVATIONS'),
        'of hidden layers; without biases and normalisation a network of relu or leaky_relu is '
        'positively homogeneous', CODE, also='nonlinearity act',
    )  # fmt: skip
    normalization: str = field(
        'none', one_of('none', 'input', 'layer', 'instance', 'batch'),
        "input: each image is divided by its pixels' standard deviation; or of maps before the "
        'dropout and the pool: of all of an image, of each of an image, of each of a batch (in '
        'evaluation by running averages)', CODE, also='norm normalisation batch_norm',
    )  # fmt: skip
    bias: bool = field(
        True, one_of(True, False), 'whether layers have biases', CODE, also='biases use_bias'
    )
    conv_dropout_rate: float = field(
        0.5, rate(), 'dropout after the last convolution', DIAL,
        also='dropout dropout_rate p_dropout conv_drop',
    )  # fmt: skip
    dense_dropout_rate: float = field(
        0.5, rate(), 'dropout of the last hidden features', DIAL,
        also='dropout dropout_rate p_dropout dense_drop',
    )  # fmt: skip
    conv_dropout: str = field(
        'channel', one_of('channel', 'element'),
        'whether the convolution dropout drops whole channels or single values', CODE,
    )  # fmt: skip
    initialization: str = field(
        'pytorch', one_of('pytorch', 'flax'), 'whose default draws the initial weights', CODE,
        also='init initialisation initializer',
    )  # fmt: skip

    def architecture(self, image_size: int, channels: int = 1, outputs: int = 1) -> Architecture:
        """The network's shapes on images of so many pixels along a side."""
        return Architecture(
            image_size, self.kernel_size, self.conv_features, self.dense_features, channels,
            outputs, self.pool, self.order, self.conv_dropout, self.normalization, self.bias,
        )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """The objective and the optimiser."""

    objective: str = field(
        'mse', entry('imbreg_jax.training.objectives:OBJECTIVES'), 'the training loss', CODE,
        also='loss loss_fn criterion',
    )  # fmt: skip
    optimizer: str = field(
        'adam', one_of('adam', 'sgd'), 'Adam, or gradient descent with momentum', CODE,
        also='optimiser optim solver',
    )  # fmt: skip
    learning_rate: float = field(
        5e-7, positive(10.0), "the optimiser's step size", DIAL,
        also='lr eta alpha step_size stepsize',
    )  # fmt: skip
    schedule: str = field(
        'constant', entry('imbreg_jax.training.optimizer:SCHEDULES'),
        'what the step size does over the steps of training: stays; falls to 0 along a line or '
        'half a cosine; or falls to a tenth at half of them and again at three quarters', DIAL,
        also='lr_schedule scheduler decay annealing',
    )  # fmt: skip
    warmup: float = field(
        0.0, rate(), 'share of the steps in which the step size rises from 0 before that', DIAL,
        also='warm_up warmup_steps',
    )  # fmt: skip
    weight_decay: float = field(
        0.0, number(0.0, 1.0), 'decay of weights, as AdamW has it: a step takes so many step sizes '
        'of a weight from it', DIAL, also='wd l2 decay',
    )  # fmt: skip
    gradient_clip: float = field(
        0.0, number(0.0, 1e6), "the gradient's norm is brought down to it; 0 for as it is", CODE,
        also='clip clipnorm clip_norm max_grad_norm grad_clip',
    )  # fmt: skip
    batch_size: int = field(
        50, integer(1, 10**8), 'training images of a step', CODE,
        also='bs batch batchsize minibatch minibatch_size',
    )  # fmt: skip
    epochs: int = field(
        15, integer(1, 100_000), 'passes over the training images', CODE,
        also='n_epochs num_epochs epoch max_epochs passes',
    )  # fmt: skip
    adam_b1: float = field(
        0.9, rate(), "decay of Adam's mean of the gradient", CODE, also='b1 beta1 beta_1'
    )
    adam_b2: float = field(
        0.999, rate(), "decay of Adam's mean of the squared gradient", CODE, also='b2 beta2 beta_2'
    )
    adam_eps: float = field(
        1e-8, positive(1.0), "added to Adam's denominator", CODE, also='eps epsilon'
    )
    momentum: float = field(
        0.9, rate(), 'share of the last step in the next of gradient descent', CODE
    )


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """What the trained networks are evaluated on."""

    batch_size: int = field(
        250, integer(1, 10**6), 'images evaluated at a time; more than there are means all', CODE,
        shared=True,
    )  # fmt: skip
    dense_size: int = field(
        4000, integer(2, 10**7), 'images of the evaluation set with evenly spaced targets', CODE,
        shared=True,
    )  # fmt: skip
    dense_low: float = field(0.25, positive(LARGEST_TARGET), 'its least target', TABLE, shared=True)
    dense_high: float = field(
        20.0, positive(LARGEST_TARGET), 'its greatest target', TABLE, shared=True
    )
    guess_low: float = field(
        1.0, number(0.0, LARGEST_TARGET), 'least value that random_guess draws', TABLE, shared=True
    )
    guess_high: float = field(
        10.0, positive(LARGEST_TARGET), 'end of the values that random_guess draws', TABLE,
        shared=True,
    )  # fmt: skip
    moment_images: int = field(
        5000, integer(1, 10**8),
        'training images that feature moments are measured on; more than there are means all',
        CODE, shared=True,
    )  # fmt: skip
    moment_masks: int = field(
        8, integer(2, 10_000), 'dropout masks drawn for each of them', CODE, shared=True
    )
    validation_under_test: bool = field(
        False, SWITCH,
        'also evaluate trained networks on as many validation images of each test distribution, '
        'for what would be chosen if it were known', CODE, shared=True,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class AnalysisSettings:
    """How the results are looked at."""

    equivalence_margin: float = field(
        0.1, positive(10.0), 'how far from 1 the ratio of two errors may be that count as the same',
        HOST, also='margin',
    )  # fmt: skip
    confidence: float = field(
        0.95, number(0.5, 0.9999, open_low=True),
        'coverage of the intervals; 1 - confidence is the level of every test', HOST,
        also='confidence_level',
    )  # fmt: skip
    seed: int = field(
        0, integer(0, LARGEST_SEED), 'the root of the random numbers of analysis', HOST
    )
    reference: str = field(
        '', TEXT, "condition that others are compared with; '' means the balanced or first one",
        HOST,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ComputeSettings:
    """How the study is computed."""

    matmul_precision: str = field(
        'highest', one_of('default', 'high', 'highest'), 'arithmetic of matrix products', CODE,
        shared=True, also='precision dtype',
    )  # fmt: skip
    require_accelerator: bool = field(
        False, SWITCH, 'refuse to run where JAX finds a CPU only', HOST,
        also='gpu device accelerator tpu cuda',
    )  # fmt: skip
    runs_per_program: int = field(
        0, integer(0, MOST_RUNS), 'runs trained at once; 0 means all that fit', HOST
    )
    steps_per_chunk: int = field(
        100, integer(1, 10**6), 'training steps between two looks at the clock', HOST
    )
    checkpoint_seconds: float = field(
        30.0, number(0.0, 10**7), 'least seconds between two checkpoints', HOST
    )
    checkpoints_kept: int = field(2, integer(1, 1000), 'newest checkpoints kept', HOST)
    compilation_cache: bool = field(
        True, one_of(True, False), 'keep compiled programs for the next start', HOST
    )
    compilation_cache_dir: str = field(
        '', TEXT, "folder of compiled programs; '' means the user's cache folder", HOST
    )
    profile: bool = field(False, SWITCH, 'write a profile of some steps', HOST)
    tensorboard: bool = field(True, one_of(True, False), 'write TensorBoard scalars', HOST)
    stop_signals: tuple[str, ...] = field(
        ('SIGTERM', 'SIGINT'), SIGNALS, 'signals that save the state and end the job', HOST
    )


@dataclasses.dataclass(frozen=True)
class LogSettings:
    """Where else the numbers of epochs go."""

    wandb: str = field(
        '', TEXT, "project of Weights & Biases that has the study as a run; '' means none", HOST
    )
    mlflow: str = field(
        '', TEXT,
        "experiment of MLflow, at MLFLOW_TRACKING_URI, that has the study as a run; '' means none",
        HOST,
    )  # fmt: skip


SECTION_SETTINGS: dict[str, type] = {
    'task': TaskSettings,
    'data': DataSettings,
    'model': ModelSettings,
    'training': TrainingSettings,
    'evaluation': EvaluationSettings,
    'analysis': AnalysisSettings,
    'compute': ComputeSettings,
    'log': LogSettings,
}
SECTIONS = tuple(SECTION_SETTINGS)

FIELDS: dict[str, Field] = declared(StudySettings) | {
    f'{section}.{name}': found
    for section, settings in SECTION_SETTINGS.items()
    for name, found in declared(settings).items()
}
OVERRIDABLE = tuple(name for name, found in FIELDS.items() if found.overridable)
# Sections of which a condition has settings of its own.
CONDITION_SECTIONS = tuple(
    section for section in SECTIONS if any(name.startswith(f'{section}.') for name in OVERRIDABLE)
)
SYNONYMS = {name: found.also for name, found in FIELDS.items()}


def determines_results(name: str) -> bool:
    """Whether two studies that differ in this field may end with other numbers."""
    return FIELDS[name].role is not HOST


@functools.cache
def of_role(role: Any, section: str = '') -> tuple[str, ...]:
    """The fields of a role, of one section or of all, that conditions may differ in."""
    return tuple(
        name
        for name in OVERRIDABLE
        if FIELDS[name].role is role and name.startswith(f'{section}.' if section else '')
    )


def leaves(section: str) -> list[str]:
    """The names of a section's fields, without the section's."""
    return list(declared(SECTION_SETTINGS[section]))


def remedy_of(flat: Mapping[str, Any]) -> Any:
    """The `training.remedy.Remedy` of a condition's dotted fields."""
    return looked_up(_REMEDY.registry)(flat['remedy'])


def as_trained(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A condition's dotted fields, with those that its remedy sets, whatever they say.

    The config keeps what it says: two conditions that differ in such a remedy differ in nothing
    else.
    """
    return {**flat, **remedy_of(flat).sets}


def section_of(flat: Mapping[str, Any], section: str) -> Any:
    """The settings of one section from dotted fields."""
    return SECTION_SETTINGS[section](
        **{leaf: flat[f'{section}.{leaf}'] for leaf in leaves(section)}
    )
