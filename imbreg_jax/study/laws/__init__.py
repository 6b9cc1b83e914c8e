"""Target distributions: the laws that the targets of a split are drawn from.

A law is written as a name (`u1_10`) or as an expression (`normal(5.5, 1)`,
`mixture(u1_5, 0.9, uniform(5, 10), 0.1)`); `parse` reads it, and `forms` lists what there is. Each
law is one entry, in a file of this folder for each family: the files are found by themselves. A law
of one's own is such an entry too, in a config file or wherever Python runs before the config is
read:

    from scipy import stats

    from imbreg_jax.study import laws

    @laws.register(label='LogU({low}, {high})', example='log_uniform(1, 10)')
    def log_uniform(low: float, high: float) -> laws.Law:
        laws.require(0 < low < high, 'log_uniform needs 0 < low < high')
        return laws.ScipyLaw(stats.loguniform(low, high))

Then `config.train_distribution = 'log_uniform(1, 10)'` works, also within `mixture(…)`, and
`register` says what else an entry may be.

What a law of one's own is, is its expression: names, folders and the identity of a study know
`log_uniform(1, 10)` and not the formula behind it. So a study whose formula changes under the same
name passes for the one that was begun, and would go on in its workdir with other targets. Give a
changed formula another name.
"""

import importlib
import pkgutil

from imbreg_jax.study.laws.expression import LONGEST_SPEC, parse
from imbreg_jax.study.laws.law import Distribution, Law, ScipyLaw, TableSource, fault
from imbreg_jax.study.laws.registry import REGISTRY, forms, register, usage
from imbreg_jax.study.laws.rules import ordered, positive, require
from imbreg_jax.study.laws.table import nowhere, table_digest, tables_of
from imbreg_jax.study.laws.table_file import MissingTable, is_table, read_table

__all__ = [
    'LONGEST_SPEC',
    'REGISTRY',
    'Distribution',
    'Law',
    'MissingTable',
    'ScipyLaw',
    'TableSource',
    'fault',
    'forms',
    'is_table',
    'nowhere',
    'ordered',
    'parse',
    'positive',
    'read_table',
    'register',
    'require',
    'table_digest',
    'tables_of',
    'usage',
]

# A file that somebody puts here has its laws registered without a line elsewhere.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{_module.name}')
