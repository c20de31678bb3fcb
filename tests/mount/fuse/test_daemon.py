"""What the daemon tells of itself and gives up: statistics, log, service manager, capabilities, descriptors; and what it
does about damage.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from ways import FAILED, NOBODY, WaysTest, as_user, attempt, entry, main  # noqa: E402
from mount import SANITIZED, SCALEFS, run  # noqa: E402


class Daemon(WaysTest):
    def test_capabilities_are_dropped_and_not_missed(self):
        volume = self.volume('32M').mount()
        for task in os.listdir(f'/proc/{volume.pid}/task'):
            with open(f'/proc/{volume.pid}/task/{task}/status', encoding='ascii') as lines:
                sets = dict(re.findall(r'^(Cap(?:Prm|Eff|Amb)):\s*(\w+)$', lines.read(), re.M))
            self.assertEqual({int(value, 16) for value in sets.values()}, {0}, (task, sets))
        (volume.path / 'file').write_bytes(b'x' * 100_000)
        with contextlib.suppress(OSError), open(volume.path / 'file', 'rb+', buffering=0):
            volume.terminate()  # and it takes the mount away, though that is for those who have one
        self.assertIsNone(entry(volume.path))
        volume.fsck()

    def test_few_descriptors(self):
        volume = self.volume('32M')
        mounted = 0
        # A sanitizer needs some for itself, to look at a fault.
        for limit in range(40 if SANITIZED else 3, 80, 4):
            status, text = attempt('prlimit', f'--nofile={limit}', SCALEFS, volume.image, volume.path)
            if status == 0:
                mounted += 1
                self.started(volume)
                for number in range(100):
                    (volume.path / f'file-{number}').touch()
                files = [open(volume.path / f'file-{number}', 'rb') for number in range(100)]
                for file in files:
                    file.close()
                run('umount', volume.path)
                volume.pid = None
                if mounted == 3:
                    break
            else:
                self.assertIn(status, (FAILED, 127), text)  # 127: not even started
                self.assertTrue(text)
                self.assertIsNone(entry(volume.path))
        self.assertEqual(mounted, 3)
        volume.fsck()

    def test_the_log_of_a_daemon_in_the_background(self):
        volume = self.volume('32M')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind('/dev/log')
            self.addCleanup(os.unlink, '/dev/log')
            log.settimeout(60)
            run('mount', '-t', 'scalefs', volume.image, volume.path)
            self.started(volume)
            os.kill(volume.pid, signal.SIGTERM)
            while b'ending by signal' not in (line := log.recv(4096)):
                pass
            self.assertRegex(line, rb'^<30>.*scalefs\[%d\]: scalefs: ending by signal 15' % volume.pid)
        volume.gone()

    def test_the_service_manager_is_told(self):
        volume = self.volume('32M')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            address = self.folder / 'notify'
            notify.bind(str(address))
            notify.settimeout(60)
            process = subprocess.Popen([SCALEFS, '-f', volume.image, volume.path],
                                       env={**os.environ, 'NOTIFY_SOCKET': str(address)})
            self.assertEqual(notify.recv(500).decode().split('\n'),
                             ['READY=1', f'STATUS=serving {volume.image} on {volume.path}'])
            process.send_signal(signal.SIGTERM)
            self.assertEqual(notify.recv(500).decode().split('\n')[0], 'STOPPING=1')
            self.assertEqual(process.wait(60), 0)


class Statistics(WaysTest):
    def read(self, volume):
        return json.loads(run(SCALEFS, 'stat', '--json', volume.path).stdout)

    def test_what_was_done_is_counted(self):
        volume = self.volume('64M').mount('commit=3600')
        before = self.read(volume)
        count = 20
        for number in range(count):
            (volume.path / f'{number}').touch()
        (volume.path / '0').write_bytes(b'x' * 4096)
        for number in range(1, count):
            (volume.path / f'{number}').unlink()
        after = self.read(volume)

        def done(kind):
            nothing = {'count': 0}
            return (after['requests'].get(kind, nothing)['count'] -
                    before['requests'].get(kind, nothing)['count'])
        self.assertEqual((done('mknod'), done('unlink'), done('write')), (count, count - 1, 1))
        self.assertGreaterEqual(done('getxattr'), 1)  # the question itself
        for kind in after['requests'].values():
            self.assertGreater(kind['max_us'], 0)
            self.assertLessEqual(kind['p50_us'], kind['p99_us'])
            self.assertLessEqual(kind['p99_us'], kind['max_us'])
            self.assertLessEqual(kind['mean_us'], kind['max_us'])
        self.assertGreater(sum(after['log']['depth_of_cores']), 0)
        self.assertGreater(after['log']['bytes'], 0)
        self.assertGreater(after['memory']['dirty_bytes'], 0)
        self.assertGreater(after['memory']['classes']['mnode'], 0)
        self.assertEqual(after['memory']['total_bytes'], sum(after['memory']['classes'].values()))
        self.assertEqual((after['source'], after['mountpoint'], after['process']),
                         (str(volume.image), str(volume.path), volume.pid))
        volume.sync()
        synced = self.read(volume)
        self.assertEqual(sum(synced['log']['depth_of_cores']), 0)
        self.assertEqual(synced['memory']['dirty_bytes'], 0)
        self.assertGreater(synced['commits']['commits'], after['commits']['commits'])
        self.assertGreater(synced['journal']['batches'], after['journal']['batches'])
        self.assertGreater(synced['journal']['fill'], 0)
        text = run(SCALEFS, 'stat', volume.path).stdout
        for kind in synced['requests']:
            self.assertRegex(text, rf'(?m)^{kind} +\d+ ')
        volume.unmount()

    def test_it_is_for_root_and_the_mounting_user(self):
        volume = self.volume('32M').mount()
        for words in ((SCALEFS, 'stat', volume.path), (SCALEFS, 'stat', '--json', volume.path)):
            status, text = attempt(*as_user(NOBODY, *words))
            self.assertEqual(status, 1)
            self.assertIn('for root and the user who mounted', text)
        for name in os.listxattr(volume.path):
            self.assertFalse(name.startswith('scalefs.'), name)
        (volume.path / 'file').touch()
        for path in (volume.path / 'file', volume.path):
            for name in ('scalefs.statistics', 'scalefs.unknown'):
                with self.assertRaises(OSError) as caught:
                    os.setxattr(path, name, b'x')
                self.assertEqual(caught.exception.errno, errno.EOPNOTSUPP)
        with self.assertRaises(OSError) as caught:
            os.getxattr(volume.path / 'file', 'scalefs.statistics')
        self.assertEqual(caught.exception.errno, errno.EOPNOTSUPP)
        volume.unmount()

    def test_a_volume_in_memory(self):
        volume = self.volume(memory=True).mount()
        self.assertEqual(self.read(volume)['source'], 'memory')
        self.assertEqual(attempt('umount.scalefs', volume.path), (0, ''))
        volume.gone()

    def test_what_is_no_volume(self):
        for words, text in (((self.folder,), 'not the mount point'), ((), 'stat takes one mount point'),
                            ((self.folder / 'none',), 'No such file')):
            status, found = attempt(SCALEFS, 'stat', *words)
            self.assertEqual(status, 1)
            self.assertIn(text, found)


class Damage(WaysTest):
    def test_without_recovery(self):
        volume = self.volume('32M').mount('commit=3600')
        (volume.path / 'early').touch()
        volume.unmount()
        volume.mount('commit=3600')
        (volume.path / 'late').touch()
        volume.fsync_root()
        volume.kill()
        whole = hashlib.sha256(volume.image.read_bytes()).digest()
        status, text = attempt(SCALEFS, '-o', 'norecovery', volume.image, volume.path)
        self.assertEqual(status, 1)
        self.assertIn('norecovery needs ro', text)
        for options, names in ((('ro', 'norecovery'), ['early']), (('ro', 'noload'), ['early']),
                               (('ro',), ['early', 'late'])):
            volume.mount(*options)
            self.assertEqual(sorted(os.listdir(volume.path)), names)
            volume.unmount()
            self.assertEqual(hashlib.sha256(volume.image.read_bytes()).digest(), whole)
        self.assertIn('the journal is left out', volume.messages())
        volume.mount()
        self.assertEqual(sorted(os.listdir(volume.path)), ['early', 'late'])
        volume.unmount()
        # After an orderly end there is nothing to leave out.
        volume.mount('ro', 'norecovery')
        self.assertEqual(sorted(os.listdir(volume.path)), ['early', 'late'])
        volume.unmount()

    def test_what_damage_does_to_the_rest(self):
        content = hashlib.sha256(b'block').digest() * 128
        volume = self.volume('32M').mount()
        (volume.path / 'file').write_bytes(content * 8)
        volume.unmount()
        image = volume.image.read_bytes()
        self.assertIn(content, image)
        volume.image.write_bytes(image.replace(content, b'X' + content[1:]))
        for option, failed in (('errors=continue', False), ('errors=remount-ro', True)):
            volume.mount(option)
            (volume.path / f'before-{failed}').touch()
            with self.assertRaises(OSError) as caught:
                (volume.path / 'file').read_bytes()
            self.assertIn(caught.exception.errno, (errno.EUCLEAN, errno.EIO))
            self.assertIn('damage was found', volume.messages())
            found = json.loads(run(SCALEFS, 'stat', '--json', volume.path).stdout)
            self.assertEqual(found['failed'], failed)
            self.assertGreater(found['damage_found'], 0)
            if failed:
                with self.assertRaises(OSError) as caught:
                    (volume.path / f'after-{failed}').touch()
                self.assertEqual(caught.exception.errno, errno.EROFS)
                status, text = attempt('mount', '-o', 'remount,rw', volume.path)
                self.assertEqual(status, FAILED)
                self.assertIn('read-only after an error', text)
                status, text = attempt('umount', volume.path)
                self.assertEqual(status, FAILED)
                self.assertIn('could be made durable', text)
                self.assertIsNone(entry(volume.path))
                volume.gone(status=FAILED)
            else:
                (volume.path / f'after-{failed}').touch()
                volume.unmount()


if __name__ == '__main__':
    main()
