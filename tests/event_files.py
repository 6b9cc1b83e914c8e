"""Reads TensorBoard event files back, as TensorFlow's records keep them."""

import pathlib
import struct
from typing import NamedTuple

from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c


class Scalar(NamedTuple):
    """One number of an event file, its time in seconds since 1970."""

    step: int
    tag: str
    value: float
    wall_time: float


def scalars(path: pathlib.Path) -> list[Scalar]:
    """The numbers of an event file in their order; none of an empty one, which was withdrawn.

    Raises:
      ValueError: a record is cut or its checksum another, or no header begins the file.
    """
    content, place, events = path.read_bytes(), 0, []
    while place < len(content):
        length = content[place : place + 8]
        (size,) = struct.unpack('<Q', length)
        sums = [content[place + 8 : place + 12], content[place + 12 + size : place + 16 + size]]
        data = content[place + 12 : place + 12 + size]
        if sums != [struct.pack('<I', masked_crc32c(part)) for part in (length, data)]:
            raise ValueError(f'{path} is damaged at byte {place}')
        events.append(event_pb2.Event.FromString(data))
        place += size + 16
    if events and events[0].file_version != 'brain.Event:2':
        raise ValueError(f'{path} does not begin as an event file')
    return [
        Scalar(event.step, value.tag, value.simple_value, event.wall_time)
        for event in events
        for value in event.summary.value
    ]
