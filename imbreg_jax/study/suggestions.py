"""What a name that does not exist was most likely meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` most likely stands for, or None.

    A last part that is right (`learning_rate` for `training.learning_rate`) counts as near.
    """
    names = list(known)
    leaf = name.rsplit('.', 1)[-1]
    ending = [other for other in names if other.rsplit('.', 1)[-1] == leaf]
    if len(ending) == 1:
        return ending[0]
    close = difflib.get_close_matches(name, ending or names, n=1, cutoff=0.6)
    if not close and not ending:
        leaves = {other.rsplit('.', 1)[-1]: other for other in reversed(names)}
        near_leaf = difflib.get_close_matches(leaf, leaves, n=1, cutoff=0.7)
        close = [leaves[near_leaf[0]]] if near_leaf else []
    return next(iter(close or ending), None)


def suggestions(
    field: str, known: Iterable[str], synonyms: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """The known fields that a field that does not exist may stand for, best first.

    Args:
        field: its dotted name.
        known: the fields that there are.
        synonyms: what else people call fields.
    """
    names = list(known)
    leaf = field.rsplit('.', 1)[-1].lower().replace('-', '_')
    if leaf in names:
        return [leaf]  # one of the whole study, looked for in a section
    meant = [name for name, others in synonyms.items() if leaf in others and name in names]
    near = nearest(field, names)
    # A field that is right but for its section or case is meant, whatever others call so.
    if near is not None and near.rsplit('.', 1)[-1] == leaf:
        return [near]
    return meant or ([] if near is None else [near])


def hint(field: str, known: Iterable[str], synonyms: Mapping[str, tuple[str, ...]]) -> str:
    """What to say of a field that does not exist, as the end of a sentence."""
    names = list(known)
    if near := suggestions(field, names, synonyms):
        return f'did you mean {" or ".join(near)}'
    section = field.split('.')[0]
    within = [name for name in names if '.' in field and name.startswith(f'{section}.')]
    if within:
        return f'the fields of {section} are {", ".join(within)}'
    alone = [name for name in names if '.' not in name]
    sections = dict.fromkeys(name.split('.')[0] for name in names if '.' in name)
    return f'known are {", ".join(alone)} and the fields of {", ".join(sections)}'
