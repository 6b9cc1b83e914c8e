"""The paper's condition with rare ends: training targets from N(5.5, 1), 10 repeats.

    ./launch.sh --config=configs/n5_5_1.py
    python -m imbreg_jax.main --config=configs/n5_5_1.py

Time: that of `u1_10.py`.

Expect the errors of `u1_10.py` on U(1, 10), or slightly less: ten repeats do not tell the two
apart, though the paper has these between `u1_10.py` and `u1_5.py`. Everything random but the
targets is that of `u1_10.py`.
"""

import ml_collections

from imbreg_jax import study


def get_config() -> ml_collections.ConfigDict:
    """The condition with rare ends; every other field is the paper's by default."""
    config = study.default_config()
    config.name = 'n5_5_1'
    config.train_distribution = 'n5_5_1'
    return config
