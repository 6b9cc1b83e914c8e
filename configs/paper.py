"""The whole paper: its three training distributions as conditions of one study, 10 repeats each.

    ./launch.sh --config=configs/paper.py
    python -m imbreg_jax.main --config=configs/paper.py

Time: 28 minutes on 2 Xeon cores with AVX-512, all included.

All 30 networks train in one compiled program, paired by repeat: the same initial weights, noise,
shuffles and dropout masks, and targets coupled through the same uniforms. Expect all of the paper's
tables with nearly every printed mean in the predicted range, six verdicts that stand and five that
stay undecided: the order of the three conditions on U(1, 10) is among these.
"""

import ml_collections

from imbreg_jax import study


def get_config() -> ml_collections.ConfigDict:
    """The paper's three conditions; every other field is the paper's by default."""
    config = study.default_config()
    config.name = 'paper'
    config.conditions = {name: {'train_distribution': name} for name in ('u1_10', 'u1_5', 'n5_5_1')}
    return config
