"""Which symmetry of a network makes imbalance harmless? Biases, normalisation, width.

    ./launch.sh --config=configs/network.py
    ./launch.sh --config=configs/network.py:disc_radius
    python -m imbreg_jax.main --config=configs/network.py

Time: 35 minutes a task on 2 CPU cores.

Without biases the paper's network is positively homogeneous, as its task is: an image that is twice
as bright has twice the output. Normalisation takes that away, and input normalisation the target
with it. On the paper's task (in one pass), or on the one that is named. Expect the report to hold
each law against the balanced one of the same network.
"""

import ml_collections

from imbreg_jax import study
from imbreg_jax.data.tasks import named

NETWORKS: dict[str, dict[str, object]] = {
    'paper': {},
    'no_bias': {'bias': False},
    'layer_norm': {'normalization': 'layer'},
    'input_norm': {'normalization': 'input'},
    'narrow': {'conv_features': (3, 5), 'dense_features': 12},
    'wide': {'conv_features': (20, 40), 'dense_features': 100},
}
LAWS = {'balanced': 'u1_10', 'missing': 'u1_5', 'normal': 'n5_5_1'}


def get_config(task: str = 'std') -> ml_collections.ConfigDict:
    """Every network under the paper's laws."""
    config = study.default_config()
    config.name = 'network' if task == 'std' else f'network-{task}'
    config.task.name = task
    config.conditions = {
        f'{name}-{what}': {'model': dict(model), 'train_distribution': law}
        for name, model in NETWORKS.items()
        for what, law in LAWS.items()
    }
    for section, fields in named(task).budget.fields().items():
        config[section].update(fields)
    if task == 'std':
        config.training.epochs, config.training.learning_rate = 1, 15 * 5e-7
    config.evaluation.dense_high = 10.5
    config.analysis.reference = 'paper-balanced'
    config.evaluation.moment_images = 300
    return config
