"""The study room: configs, their rules, target distributions and conditions, as plain data."""

from imbreg_jax.study.config import default_config, validate
from imbreg_jax.study.config_file import load_config_file
from imbreg_jax.study.errors import ConfigError
from imbreg_jax.study.laws import Distribution, parse
from imbreg_jax.study.settings import (
    FIELDS,
    ComputeSettings,
    DataSettings,
    EvaluationSettings,
    ModelSettings,
    TaskSettings,
    TrainingSettings,
)
from imbreg_jax.study.study import (
    Condition,
    Run,
    Study,
    adopt,
    differences,
    identity,
    resolve,
    restore,
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
    'adopt',
    'default_config',
    'differences',
    'identity',
    'load_config_file',
    'parse',
    'resolve',
    'restore',
    'validate',
]
