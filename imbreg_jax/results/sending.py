"""Finished shards as bytes, for a host whose folder they are not in."""

import io
import os
import re
import shutil
import tarfile
from collections.abc import Collection, Iterable
from pathlib import Path

from imbreg_jax.results import layout, merging
from imbreg_jax.study.shards import Shard

# Of use where the shard was trained alone: the checkpoints of a unit, not what units left.
_STAYS = re.compile(rf'step_\d+|{re.escape(layout.LOCK)}')


def packed(workdir: Path, shards: Iterable[Shard]) -> bytes:
    """These shards, which the workdir holds finished, as bytes; none as none.

    Raises:
      OSError: a file cannot be read.
    """
    content = io.BytesIO()
    places = [merging.folder(workdir, shard) for shard in shards]
    if not places:
        return b''
    with tarfile.open(fileobj=content, mode='w') as archive:
        for place in places:
            archive.add(place, place.name, filter=_sent)
    return content.getvalue()


def unpack(workdir: Path, content: bytes, wanted: Collection[Shard]) -> None:
    """Puts shards from their bytes into a workdir, each whole or not at all.

    Args:
      workdir: the study's folder.
      content: what `packed` gave.
      wanted: the shards that are in it. What the workdir has of them is replaced: a shard that was
        begun, and that another host finished.

    Raises:
      OSError: a file cannot be written, or the disk is full.
    """
    if not content:
        return
    arriving = workdir / layout.SHARDS / f'.arriving.{os.getpid()}'
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(arriving, filter='data')
        for shard in wanted:
            place = merging.folder(workdir, shard)
            shutil.rmtree(place, ignore_errors=True)
            os.replace(arriving / place.name, place)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


def _sent(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if any(map(_STAYS.fullmatch, Path(member.name).parts)) else member
