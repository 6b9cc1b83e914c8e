"""Tests of imbreg_jax.study.shards: how a study is cut, and who says which part is wanted."""

from absl.testing import absltest, parameterized

import small_study
from imbreg_jax.study import ConfigError, shards
from imbreg_jax.study.shards import Shard

_LAWS = {law: {'train_distribution': law} for law in ('u1_10', 'u1_5', 'n5_5_1')}
# Programs of their own; the ensemble has members, and with them most of the work.
_PROGRAMS = {
    f'{law}-{number}': {**changes, **fields}
    for law, changes in _LAWS.items()
    for number, fields in enumerate(
        (
            {},
            {'model': {'order': 'relu_pool'}},
            {'remedy': 'ensemble(size=3)'},
            {'remedy': 'huber'},
        )
    )
}


def _array(values):
    names = ('ID', 'MIN', 'MAX', 'STEP', 'COUNT')
    found = zip(names, values.split(), strict=True)
    return {f'SLURM_ARRAY_TASK_{name}': value for name, value in found}


def _programs(study, part):
    of = {c: number for number, group in enumerate(study.programs()) for c in group}
    return {of[condition] for condition, _ in part}


class ResultsTest(parameterized.TestCase):
    @parameterized.product(
        conditions=(_LAWS, _PROGRAMS),
        fields=({'repeats': 1}, {'repeats': 10}, {'repeats': 6, 'data__folds': 2,
                'data__train_size': 30}),
        of=(1, 2, 3, 8, 40),
    )  # fmt: skip
    def test_each_is_in_one_shard_whatever_the_study(self, conditions, fields, of):
        study = small_study.study(conditions, **fields)
        parts = shards.results(study, of)
        self.assertLen(parts, of)
        self.assertCountEqual(sum(parts, []), study.results)
        folds = max(1, study.conditions[0].data.folds)
        for part in parts:
            # Shards are as many as there is something for, and the folds of a data set together.
            for condition, repeat in part:
                first = repeat // folds * folds
                self.assertContainsSubset([(condition, first + i) for i in range(folds)], part)
        cut = sum(len(_programs(study, part)) for part in parts)
        self.assertLessEqual(cut, len(study.programs()) + of - 1)

    def test_repeats_stay_whole_unless_a_shard_would_take_a_quarter_longer(self):
        study = small_study.study(_LAWS, repeats=10)
        for of, sizes in (
            (1, [30]),
            (2, [15, 15]),
            (4, [9, 6, 9, 6]),
            (5, [6] * 5),
            (10, [3] * 10),
            (30, [1] * 30),
        ):
            parts = shards.results(study, of)
            self.assertEqual([len(part) for part in parts], sizes)
            if of <= 10:
                for part in parts:
                    self.assertLen(part, 3 * len({repeat for _, repeat in part}))
        # Of eight shards some would have two repeats, six runs where four are enough.
        self.assertEqual(sorted({len(part) for part in shards.results(study, 8)}), [3, 4])

    def test_a_program_is_whole_unless_a_shard_would_take_a_quarter_longer(self):
        study = small_study.study(sweep='data.image_size = 18, 20', repeats=3)
        # A run of the larger images takes a half more.
        for of, sizes in ((2, [3, 3]), (3, [3, 2, 1])):
            self.assertEqual([len(part) for part in shards.results(study, of)], sizes)

    def test_work_is_shared_and_not_numbers_of_runs(self):
        study = small_study.study({'once': {}, 'thrice': {'remedy': 'ensemble(size=3)'}}, repeats=4)
        parts = [shards.part(study, Shard(number, 4)) for number in range(1, 5)]
        self.assertEqual([len(part.runs) for part in parts], [4] * 4)
        members = {run.result: 0 for run in study.runs}
        for part in parts:
            for run in part.runs:
                members[run.result] += 1
        self.assertEqual(set(members.values()), {1, 3})

    def test_a_part_is_the_same_study_with_fewer_runs(self):
        study = small_study.study(_LAWS, repeats=10)
        part = shards.part(study, Shard(2, 5))
        self.assertEqual(part.runs, tuple(run for run in study.runs if run.repeat in (2, 3)))
        self.assertCountEqual(part.runs_of(0), part.runs)
        self.assertEqual((part.repeats, part.conditions), (study.repeats, study.conditions))


class AskedTest(parameterized.TestCase):
    def test_a_flag_names_a_number_from_1(self):
        self.assertEqual(shards.parse('3/8'), Shard(3, 8))
        for text in ('', '3', '0/8', '9/8', '3/8/1', 'a/b', '-1/8', '1/10000000'):
            with self.assertRaisesRegex(ConfigError, 'such as 3/8; 1/1 is the whole study'):
                shards.parse(text)

    @parameterized.parameters(
        ('0 0 7 1 8', Shard(1, 8)),
        ('7 0 7 1 8', Shard(8, 8)),
        ('5 1 7 2 4', Shard(3, 4)),
        ('20 10 39 10 3', Shard(2, 3)),
        ('4 4 4 1 1', Shard(1, 1)),
        ('4 4 4 0 1', Shard(1, 1)),
    )
    def test_an_array_of_slurm_has_any_first_index_and_step(self, values, shard):
        found = shards.of_environment(_array(values))
        self.assertEqual(found, (shard, f'SLURM_ARRAY_TASK_ID is {values.split()[0]}'))

    def test_a_pod_of_an_indexed_job_is_told_how_many_there_are(self):
        pod = {'JOB_COMPLETION_INDEX': '2', 'JOB_COMPLETIONS': '4'}
        self.assertEqual(shards.of_environment(pod), (Shard(3, 4), 'JOB_COMPLETION_INDEX is 2'))
        self.assertIsNone(shards.of_environment({'SLURM_JOB_ID': '7'}))

    @parameterized.parameters(
        (
            {'JOB_COMPLETION_INDEX': '2'},
            "--shard is missing: JOB_COMPLETION_INDEX is set, and JOB_COMPLETIONS is '' and must "
            'be a number, too; or name a shard, such as --shard=3/8.',
        ),
        ({'JOB_COMPLETION_INDEX': '4', 'JOB_COMPLETIONS': '4'}, 'INDEX is 4 and JOB_COMPLETIONS 4'),
        (
            # What Slurm sets for --array=1,3,7.
            _array('3 1 7 1 3'),
            'of an array of 3 from 1 to 7; its elements must be evenly spaced, as with --array=0-7',
        ),
    )
    def test_what_names_no_shard_is_refused_in_a_sentence(self, environment, message):
        with self.assertRaises(ConfigError) as refused:
            shards.of_environment(environment)
        self.assertIn(message, str(refused.exception))


if __name__ == '__main__':
    absltest.main()
