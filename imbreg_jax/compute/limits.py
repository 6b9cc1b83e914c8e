"""What this process may use of the machine: cores, memory, address space.  Knows no JAX.

A container, a batch system or a shell may grant a part of the machine only.  Nothing here asks
JAX, so that what JAX could not survive is found before it is loaded.
"""

import math
import os
import resource
from collections.abc import Iterator
from pathlib import Path

# Where control groups of version 2 ('') and 1 are mounted, by controller.
CONTROL_GROUP_ROOTS = {
    '': '/sys/fs/cgroup',
    'memory': '/sys/fs/cgroup/memory',
    'cpu': '/sys/fs/cgroup/cpu',
}
MEMBERSHIP = '/proc/self/cgroup'
# Of memory in versions 2 and 1: limit, use, and what of it is reclaimable.
_MEMORY_FILES = {
    '': ('memory.max', 'memory.current', 'inactive_file'),
    'memory': ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'),
}

# Address space of JAX, as reserved and not as used: the libraries and what they map, then for each
# thread its stack and glibc's arena, of which there are at most 8 a core. Measured with jaxlib
# 0.10: a small study has 19 threads and 2 a core.
_LIBRARIES = 900 * 2**20
_ARENA = 64 * 2**20
_ARENAS_A_CORE = 8
_STACK = 8 * 2**20


def usable_cores() -> int:
    """Cores that this process may keep busy: its affinity's, or fewer by a control group's quota.

    Of a quota of 2.5 cores that is 2: a third busy thread would have the group throttled for part
    of every period, and all devices of a program wait for the slowest.
    """
    affinity = os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else ()
    cores = len(affinity) or os.cpu_count() or 1
    return max(1, min([cores, *(math.floor(quota) for quota in _cpu_quotas())]))


def _control_groups(controllers: set[str]) -> Iterator[tuple[str, Path]]:
    """(controller, folder) of the groups that hold this process, and of all above them."""
    try:
        lines = Path(MEMBERSHIP).read_text('utf-8').splitlines()
    except OSError:
        return
    for line in lines:
        _, names, group = line.split(':', 2)
        for controller in controllers & set(names.split(',')):
            root = CONTROL_GROUP_ROOTS[controller]
            # A group's limit holds for all beneath it. In a container the path may not be there.
            folder = Path(root + group)
            for place in (folder, *folder.parents):
                if not place.is_relative_to(root):
                    break
                yield controller, place


def _cpu_quotas() -> list[float]:
    """Cores' worth of time that control groups grant, one value for each limit."""
    found = []
    for controller, place in _control_groups({'', 'cpu'}):
        try:
            if controller == 'cpu':
                quota = (place / 'cpu.cfs_quota_us').read_text('ascii')
                period = (place / 'cpu.cfs_period_us').read_text('ascii')
            else:
                quota, period = (place / 'cpu.max').read_text('ascii').split()
            # Without a limit the quota is 'max', or -1 in version 1.
            if quota != 'max' and int(quota) > 0 and int(period) > 0:
                found.append(int(quota) / int(period))
        except (OSError, ValueError):
            continue
    return found


def host_bytes() -> int:
    """Bytes of the host's memory that this process may still use."""
    return min(
        _free_bytes(), *_control_group_bytes(), *_batch_system_bytes(), *_address_space_bytes()
    )


def _free_bytes() -> int:
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            lines = dict(line.split(':', 1) for line in file)
        return int(lines['MemAvailable'].split()[0]) * 1024
    except (OSError, KeyError):
        # Not Linux, where nothing portable tells what is free: half of all there is.
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2


def _control_group_bytes() -> list[int]:
    """What the control groups that hold this process leave it, one value for each limit."""
    found = []
    for controller, place in _control_groups({'', 'memory'}):
        limit_file, use_file, reclaimable = _MEMORY_FILES[controller]
        try:
            limit = (place / limit_file).read_text('ascii').strip()
            used = int((place / use_file).read_text('ascii'))
            stat = (place / 'memory.stat').read_text('ascii').split()
        except OSError:
            continue
        if limit != 'max':
            cached = dict(zip(stat[::2], stat[1::2], strict=False)).get(reclaimable, 0)
            found.append(int(limit) - used + int(cached))
    return found


def _batch_system_bytes() -> list[int]:
    """What SLURM granted the job on this node, where it enforces that by other means."""
    granted = os.environ.get('SLURM_MEM_PER_NODE', '')
    return [int(granted) * 2**20] if granted.isdigit() and granted != '0' else []


def address_space_limit() -> int | None:
    """RLIMIT_AS in bytes (`ulimit -v` counts in KiB), or None."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _address_space_bytes() -> list[int]:
    """What a limit of the address space leaves for arrays."""
    limit = address_space_limit()
    return [] if limit is None else [max(0, limit - address_space_of_jax(usable_cores()))]


def address_space_of_jax(cores: int) -> int:
    """Bytes of address space that JAX and its threads reserve before a study's first array."""
    threads = 19 + 2 * cores
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    stack = _STACK if stack == resource.RLIM_INFINITY else stack
    arenas = min(threads, _ARENAS_A_CORE * (os.cpu_count() or 1))
    return _LIBRARIES + threads * stack + arenas * _ARENA
