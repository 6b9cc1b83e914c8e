"""Where the numbers come from: machines, versions, files; how to cite and how to repeat them."""

import shlex
from collections.abc import Mapping
from typing import Any

import pandas as pd

from imbreg_jax.analysis import formats
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.section import Column, Content, Section, Table, enumerated, listed
from imbreg_jax.study import overrides, shipped
from imbreg_jax.study.config import completed, flatten, plain
from imbreg_jax.study.errors import ConfigError
from imbreg_jax.study.settings import FIELDS


def table(study: FinishedStudy) -> pd.DataFrame:
    """Returns a row per workdir, of what its config.json says of machine, versions and time."""
    rows = []
    for name, header in zip(study.sources, study.headers, strict=True):
        timing = header.get('timing') or {}
        rows.append(
            {
                'workdir': name,
                'backend': str(header.get('backend')),
                'devices': ', '.join(map(str, header.get('devices', []))),
                'versions': ', '.join(f'{k} {v}' for k, v in header.get('versions', {}).items()),
                'commit': str(header.get('git_commit') or 'unknown'),
                'seed': header['config'].get('seed'),
                'seconds': timing.get('seconds'),
                'compile_seconds': timing.get('compile_seconds'),
                'source': 'config.json',
            }
        )
    return pd.DataFrame(rows).astype({'seconds': float, 'compile_seconds': float})


def command(config: Mapping[str, Any]) -> str | None:
    """Returns the command that a shipped config's study is made with; None of any other study.

    A study is named after its config and what was set in it, so that its name is the proof.

    Args:
      config: the resolved config of the study.
    """
    name = str(config.get('name', ''))
    if name in shipped.files():
        return f'imbreg-jax train {name}'
    for stem in shipped.files():
        argument = name.removeprefix(f'{stem}-')
        if argument == name:
            continue
        for choice in (f'{stem}:{argument}', stem):
            try:
                changed = _changed(shipped.config(choice), config)
                # A table would be read: no file is opened because a workdir names it.
                if 'table' in str(changed):
                    return None
                again = overrides.by_values(shipped.config(choice), changed)
            except ConfigError:  # It takes no argument, or not this one.
                continue
            if again.name == name:
                fields = [f'--config.{field}={value}' for field, value in changed.items()]
                return shlex.join(['imbreg-jax', 'train', choice, *fields])
    return None


def _changed(shipped_config: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that have other values in a config than in a shipped one."""
    before = flatten(plain(shipped_config))
    return {
        field: _as_tuple(value)
        for field, value in flatten(completed(config)).items()
        if field in FIELDS and field not in ('name', 'sweep') and before[field] != _as_tuple(value)
    }


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def citation(study: FinishedStudy) -> str:
    """Returns the study's software and the paper behind it as BibTeX."""
    header, names = study.headers[0], enumerated([*map(str, study.sources)])
    version = header.get('versions', {}).get('imbreg_jax', 'unknown')
    finished = str((header.get('timing') or {}).get('finished', ''))[:10]
    runs = f'{len(study.conditions):,} conditions, {len(study.runs):,} networks'
    commit = f'commit {str(header.get("git_commit") or "unknown")[:12]}'
    dated = f', {finished}' if finished else ''
    return (
        '@software{imbreg_jax,\n'
        '  title = {imbreg_jax},\n'
        '  author = {{The imbreg_jax authors}},\n'
        f'  version = {{{version}}},\n'
        f'  note = {{{commit}; study {names}: {runs}{dated}}},\n'
        '}\n'
        '@techreport{thakoersingh2021,\n'
        '  title = {How does imbalanced data affect performance of regression CNNs?},\n'
        '  author = {Thakoersingh, Ratish},\n'
        '  institution = {Delft University of Technology},\n'
        '  year = {2021},\n'
        '}'
    )


def _build(study: FinishedStudy) -> Content:
    frame = table(study)
    columns = [
        Column('workdir', 'workdir'),
        Column('backend', 'backend'),
        Column('devices', 'devices', formats.TEXT),
        Column('versions', 'versions', formats.TEXT),
        Column('commit', 'commit'),
        Column('seed', 'seed', formats.COUNT, 'source'),
        Column('seconds', 'seconds', formats.COUNT, 'source'),
        Column('compile_seconds', 'of which compilation', formats.COUNT, 'source'),
    ]
    commands = [command(header['config']) for header in study.headers]
    made = '\n'.join(filter(None, commands)) if all(commands) else ''
    trained = [f'{row.workdir} on {row.backend} (seed {row.seed})' for row in frame.itertuples()]
    return Content(
        f'From {listed(trained, "workdirs")}.',
        [Table('provenance', 'Workdirs', frame, columns)],
        notes=[
            'Only config.json, results.csv, metrics.jsonl and predictions.npz were read. Hover, '
            'click or focus a number for its file and lines (line 1 of results.csv is its header).'
        ],
        copies=[('Citation', citation(study)), *([('Command', made)] if made else [])],
    )


SECTION = Section('provenance', 'Where this comes from', lambda study: True, _build)
