"""Tests of imbreg_jax.compute.limits: what containers, batch systems and shells grant is seen."""

import os
import pathlib
import resource
from unittest import mock

from absl.testing import absltest, parameterized

from imbreg_jax.compute import limits


class _Groups:
    """A tree of control groups in a folder of the test's own, and who is in which of them."""

    def __init__(self, test: absltest.TestCase):
        self.root = pathlib.Path(test.create_tempdir().full_path)
        self.membership = self.root / 'membership'
        roots = dict.fromkeys(limits.CONTROL_GROUP_ROOTS, str(self.root))
        test.enter_context(mock.patch.object(limits, 'CONTROL_GROUP_ROOTS', roots))
        test.enter_context(mock.patch.object(limits, 'MEMBERSHIP', str(self.membership)))

    def write(self, group: str, **files: str) -> None:
        folder = self.root / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace('__', '.')).write_text(f'{text}\n')


class CoresTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.groups = _Groups(self)
        self.groups.membership.write_text('0::/job/step\n4:cpu,cpuacct:/old\n')
        self.affinity = self.enter_context(
            mock.patch.object(os, 'sched_getaffinity', return_value=set(range(8)), create=True)
        )

    @parameterized.parameters(
        ('max 100000', 8),
        ('200000 100000', 2),
        ('250000 100000', 2),  # A third thread would be throttled for half of its time.
        ('50000 100000', 1),
        ('1600000 100000', 8),
        ('150000 50000', 3),
        ('nonsense', 8),
        ('', 8),
    )
    def test_are_those_of_the_quota(self, quota, cores):
        self.groups.write('job/step', cpu__max=quota)
        self.assertEqual(limits.usable_cores(), cores)

    def test_are_those_of_the_least_quota_above(self):
        self.groups.write('job/step', cpu__max='600000 100000')
        self.groups.write('job', cpu__max='300000 100000')
        self.groups.write('', cpu__max='max 100000')
        self.assertEqual(limits.usable_cores(), 3)

    @parameterized.parameters(('-1', 8), ('400000', 4), ('0', 8))
    def test_are_those_of_a_quota_of_version_1(self, quota, cores):
        self.groups.write('old', cpu__cfs_quota_us=quota, cpu__cfs_period_us='100000')
        self.assertEqual(limits.usable_cores(), cores)

    def test_are_those_of_the_affinity_without_one(self):
        self.assertEqual(limits.usable_cores(), 8)
        self.groups.membership.unlink()
        self.affinity.return_value = {3}
        self.assertEqual(limits.usable_cores(), 1)


class MemoryTest(absltest.TestCase):
    def test_that_control_groups_leave_counts_every_limit_above(self):
        groups = _Groups(self)
        for name, limit, used, reclaimable in (
            ('', 'max', 900, 0),
            ('job', '1000', 700, 100),
            ('job/step', '5000', 700, 100),
        ):
            stat = f'anon 5\ninactive_file {reclaimable}'
            groups.write(name, memory__max=limit, memory__current=str(used), memory__stat=stat)
        for text, left in (
            ('0::/job/step\n', [4400, 400]),
            ('0::/job/step/gone\n', [4400, 400]),
            ('0::/\n', []),
            ('3:cpu,cpuacct:/job\n', []),
        ):
            groups.membership.write_text(text)
            self.assertEqual(limits._control_group_bytes(), left)
        groups.membership.unlink()
        self.assertEqual(limits._control_group_bytes(), [])

    def test_that_a_batch_system_granted(self):
        for text, left in (('16', [2**24]), ('0', []), ('', []), ('16G', [])):
            with mock.patch.dict('os.environ', {'SLURM_MEM_PER_NODE': text}):
                self.assertEqual(limits._batch_system_bytes(), left)

    def test_of_a_limited_address_space_is_what_jax_leaves_of_it(self):
        jax = limits.address_space_of_jax(limits.usable_cores())
        for limit, left in ((jax + 2**30, 2**30), (jax - 1, 0)):
            with mock.patch.object(resource, 'getrlimit', return_value=(limit, limit)):
                with mock.patch.object(limits, 'address_space_of_jax', return_value=jax):
                    self.assertEqual(limits.host_bytes(), min(left, limits._free_bytes()))

    def test_of_address_space_grows_with_cores(self):
        few, many = limits.address_space_of_jax(1), limits.address_space_of_jax(64)
        self.assertGreater(few, 2**30)
        self.assertGreater(many, few + 126 * 2**20)


if __name__ == '__main__':
    absltest.main()
