"""The shipped configs as modules: `from imbreg_jax.configs import paper`.

A wheel has them beside this file; in a checkout they are the top-level folder `configs/`.
"""

from imbreg_jax.study.config_file import shipped_folder

__path__ = [str(shipped_folder())]
