"""The study room: configs, their rules, target distributions and conditions, as plain data."""

from imbreg_jax.study.config import FIELDS, ConfigError, default_config, validate
from imbreg_jax.study.distributions import Distribution, parse
from imbreg_jax.study.study import (
    ComputeSettings,
    Condition,
    DataSettings,
    EvaluationSettings,
    ModelSettings,
    Run,
    Study,
    TaskSettings,
    TrainingSettings,
    differences,
    identity,
    resolve,
)

__all__ = [
    'FIELDS',
    'ComputeSettings',
    'Condition',
    'ConfigError',
    'DataSettings',
    'Distribution',
    'EvaluationSettings',
    'ModelSettings',
    'Run',
    'Study',
    'TaskSettings',
    'TrainingSettings',
    'default_config',
    'differences',
    'identity',
    'parse',
    'resolve',
    'validate',
]
