"""The files for containers and clusters: that what one of them says of another is so.

That each is what its engine takes was tried with `kubernetes-validate` and SkyPilot's own schema.
"""

import pathlib
import re

import yaml
from absl.testing import absltest

import packaging_test
from imbreg_jax import console
from imbreg_jax.study import shards, shipped

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_IMAGE = (_ROOT / 'Dockerfile').read_text('utf-8')


def _read(name):
    return yaml.safe_load((_ROOT / 'deploy' / name).read_text('utf-8'))


class KubernetesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.volume, self.study, self.merge = (
            _read(f'kubernetes/{name}.yaml') for name in ('volume', 'study', 'merge')
        )

    def test_every_pod_is_told_its_shard(self):
        spec = self.study['spec']
        (container,) = spec['template']['spec']['containers']
        environment = {entry['name']: entry['value'] for entry in container['env']}
        self.assertEqual(spec['completionMode'], 'Indexed')
        found = [
            shards.of_environment(environment | {'JOB_COMPLETION_INDEX': str(index)})[0]
            for index in range(spec['completions'])
        ]
        self.assertEqual(found, [(i + 1, spec['completions']) for i in range(len(found))])
        self.assertEqual(spec['parallelism'], spec['completions'])

    def test_pods_run_commands_of_the_image_on_its_volume(self):
        (place,) = re.findall(r'^WORKDIR (/study)$', _IMAGE, re.M)
        user = int(re.findall(r'^USER (\d+):\1$', _IMAGE, re.M)[0])
        self.assertIn(f'XDG_CACHE_HOME={place}/', _IMAGE)
        workdirs = set()
        for job in (self.study, self.merge):
            pod = job['spec']['template']['spec']
            (container,) = pod['containers']
            command, *rest = container['args']
            self.assertIn(command, console.COMMANDS)
            workdirs.add(rest.pop())
            self.assertContainsSubset(rest, shipped.files())
            self.assertEqual([m['mountPath'] for m in container['volumeMounts']], [place])
            self.assertEqual(pod['securityContext']['runAsUser'], user)
            (claim,) = pod['volumes']
            name = self.volume['metadata']['name']
            self.assertEqual(claim['persistentVolumeClaim']['claimName'], name)
        (workdir,) = workdirs
        self.assertStartsWith(workdir, f'--workdir={place}/')


class ImageTest(absltest.TestCase):
    def test_is_sent_no_more_and_no_less_than_it_copies(self):
        copied = [
            name for line in re.findall(r'^COPY (.+) \S+$', _IMAGE, re.M) for name in line.split()
        ]
        sent = re.findall(r'^!(.+)$', (_ROOT / '.dockerignore').read_text('utf-8'), re.M)
        self.assertCountEqual(copied, sent)
        self.assertCountEqual(copied, [*packaging_test._SOURCES, 'requirements.lock'])
        for name in copied:
            self.assertTrue((_ROOT / name).exists(), name)

    def test_has_the_python_of_the_lock(self):
        (version,) = re.findall(r'^FROM python:(\S+)-slim$', _IMAGE, re.M)
        workflow = (_ROOT / '.github' / 'workflows' / 'ci.yml').read_text('utf-8')
        self.assertIn(f"python-version: '{version}'  # that of requirements.lock", workflow)


class SkyPilotTest(absltest.TestCase):
    def test_every_machine_trains_a_shard_in_what_they_share(self):
        task = _read('skypilot.yaml')
        self.assertIn('--shard=$((SKYPILOT_NODE_RANK + 1))/$SKYPILOT_NUM_NODES', task['run'])
        (place,) = task['file_mounts']
        self.assertIn(f'--workdir={place}/', task['run'])
        for words in (task['setup'], task['run']):
            self.assertStartsWith(words, './launch.sh ')


if __name__ == '__main__':
    absltest.main()
