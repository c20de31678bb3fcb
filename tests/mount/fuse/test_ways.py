"""The way in and out: mount(8), fstab(5), umount(8) and their helpers, remounting, users' own mounts, mounts that are
busy or stale, and what the daemon tells and gives up.
"""

import contextlib
import errno
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from ways import FAILED, NOBODY, STRANGER, WaysTest, as_user, attempt, entry, main  # noqa: E402
import mount  # noqa: E402
from mount import BIN, FSCK, MKFS, SCALEFS, SOURCE, needs_loops, run  # noqa: E402
from private_mounts import write_fstab  # noqa: E402


DUMP = str(BIN / 'scalefs-dump')


class Fstab(WaysTest):
    def test_what_a_new_user_does(self):
        volume = self.volume('64M')
        write_fstab(f'{volume.image} {volume.path} scalefs defaults,noatime,nofail 0 0')
        self.assertEqual(attempt('mount', volume.path), (0, ''))
        self.started(volume)
        (volume.path / 'file').write_bytes(b'content')
        self.assertEqual(attempt(SCALEFS, 'sync', volume.path), (0, ''))
        status, text = attempt(SCALEFS, 'stat', volume.path)
        self.assertEqual(status, 0)
        self.assertRegex(text, r'\nmknod +1 ')
        self.assertEqual(attempt('umount', volume.path), (0, ''))
        self.ended(volume)
        run('mount', volume.path)
        self.started(volume)
        self.assertEqual((volume.path / 'file').read_bytes(), b'content')
        run('umount', volume.image)
        self.ended(volume)

    @needs_loops
    def test_all_lines(self):
        volumes = [self.volume('32M', name) for name in ('one', 'two', 'three')]
        absent = self.folder / 'absent.img'
        other = self.folder / 'other'
        other.mkdir()
        write_fstab(f'{volumes[0].image} {volumes[0].path} scalefs defaults 0 0',
                    f'{volumes[1].image} {volumes[1].path} fuse.scalefs '
                    'rw,_netdev,x-systemd.automount,commit=9 0 0',
                    f'{volumes[2].image} {volumes[2].path} scalefs noauto 0 0',
                    f'{absent} {other} scalefs nofail 0 0')
        run('mount', '-a')
        for volume in volumes[:2]:
            self.started(volume)
        self.assertEqual(entry(volumes[0].path)[:2], (loop_of(volumes[0].image), 'fuseblk.scalefs'))
        self.assertEqual(entry(volumes[1].path)[:2], (str(volumes[1].image), 'fuse.scalefs'))
        self.assertIsNone(entry(volumes[2].path))
        before = [volume.pid for volume in volumes]
        self.assertEqual(attempt('mount', '-a')[0], 0)  # again: nothing to do
        self.assertEqual([volume.find_daemon() for volume in volumes[:2]], before[:2])
        run('umount', *[volume.path for volume in volumes[:2]])
        for volume in volumes[:2]:
            self.ended(volume)

    def test_every_generic_option(self):
        table = [('defaults', {'rw', 'relatime'}, {'nosuid', 'nodev', 'noexec'}),
                 ('ro', {'ro'}, {'rw'}), ('rw', {'rw'}, {'ro'}), ('suid', set(), {'nosuid'}),
                 ('dev', set(), {'nodev'}), ('noexec', {'noexec'}, set()), ('sync', {'sync'}, set()),
                 ('nosuid,nodev', {'nosuid', 'nodev'}, set())]
        silent = ('relatime,norelatime,strictatime,noatime,nodiratime,diratime,lazytime,dirsync,async,exec,auto,'
                  'noauto,nofail,_netdev,nouser,users,owner,group,comment=x,x-systemd.automount,'
                  'x-gvfs-show,X-mount.mkdir,iversion,mand,silent').split(',')
        table += [(name, {'rw'}, set()) for name in silent]
        volume = self.volume('32M')
        for options, there, absent in table:
            with self.subTest(options=options):
                words = ('mount', '-t', 'scalefs', '-o', options, volume.image, volume.path)
                self.assertEqual(attempt(*words), (0, ''))
                self.started(volume)
                found = entry(volume.path)[2]
                run('umount', volume.path)
                volume.pid = None
                self.assertLessEqual(there, found)
                self.assertFalse(absent & found, found)
        # mount(8) may be left out, and then nobody takes these away before.
        run(SCALEFS, '-o', ','.join(silent + ['user', 'defaults']), volume.image, volume.path)
        self.started(volume)
        self.assertLessEqual({'nosuid', 'nodev'}, entry(volume.path)[2])
        run('umount', volume.path)
        self.ended(volume)

    def test_an_unknown_option_stops_the_mount(self):
        volume = self.volume('32M')
        write_fstab(f'{volume.image} {volume.path} scalefs comit=3 0 0')
        status, text = attempt('mount', volume.path)
        self.assertEqual(status, 1)
        self.assertIn("did you mean 'commit'?", text)
        self.assertIsNone(entry(volume.path))


@needs_loops
class Devices(WaysTest):
    """Block devices by UUID and label, as udev's rule makes them known."""

    def test_by_uuid_and_label(self):
        volume = self.volume()
        uuid, label = '97bd30c7-efba-4273-98bf-6d6bd77a129b', 'my data/1'
        run(MKFS, '-q', '-f', '-U', uuid, '-L', label, volume.image, '32M')
        device = run('losetup', '--find', '--show', volume.image).stdout.strip()
        self.addCleanup(run, 'losetup', '-d', device)
        facts = dict(line.split('=', 1) for line in run(DUMP, 'probe', device).stdout.splitlines())
        self.assertEqual(facts, {'ID_FS_TYPE': 'scalefs', 'ID_FS_USAGE': 'filesystem',
                                 'ID_FS_UUID': uuid, 'ID_FS_UUID_ENC': uuid,
                                 'ID_FS_LABEL': 'my_data/1', 'ID_FS_LABEL_ENC': 'my\\x20data\\x2f1'})
        # What the rule's SYMLINK+= has udev do.
        rule = (SOURCE / 'system/61-scalefs.rules.in').read_text(encoding='utf-8')
        links = re.findall(r'SYMLINK\+="([^"$]*)\$env{(\w+)}"', rule)
        self.assertEqual(len(links), 2)
        for place, name in links:
            link = pathlib.Path('/dev', place + facts[name])
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(device)
            self.addCleanup(link.unlink)
        for tag in (f'UUID={uuid}', 'LABEL="my\\040data/1"'):
            write_fstab(f'{tag} {volume.path} scalefs defaults 0 0')
            self.assertEqual(attempt('mount', volume.path), (0, ''))
            self.started(volume)
            self.assertEqual(entry(volume.path)[0], device)
            # Of a device in use, too.
            self.assertIn(f'ID_FS_UUID={uuid}', run(DUMP, 'probe', device).stdout)
            self.assertEqual(attempt('umount', volume.path), (0, ''))
            self.ended(volume)

    def test_what_is_no_volume(self):
        other = self.folder / 'other'
        other.write_bytes(bytes(1 << 20))
        status, text = attempt(DUMP, 'probe', other)
        self.assertEqual(status, 8)
        self.assertNotIn('ID_FS', text)

    def test_file_knows_it(self):
        volume = self.volume()
        run(MKFS, '-q', '-U', '97bd30c7-efba-4273-98bf-6d6bd77a129b', '-L', 'data', '-f', volume.image, '32M')
        self.assertEqual(run('file', '-b', '-m', SOURCE / 'system/scalefs.magic', volume.image).stdout,
                         'scalefs volume version 1.0, label "data", UUID 97bd30c7-efba-4273-98bf-6d6bd77a129b, '
                         '8192 blocks of 4096 bytes\n')


def loop_of(image):
    """The loop device over an image, or None."""
    lines = run('losetup', '-n', '-O', 'NAME,BACK-FILE', '-l').stdout.splitlines()
    return next((line.split()[0] for line in lines if line.split()[1] == str(image)), None)


@needs_loops
class Block(WaysTest):
    """Mounts of a block device (fuseblk): sync(2) reaches the daemon, and umount(2) waits for it."""

    def test_sync_and_umount_arrive(self):
        volume = self.volume('64M').mount('commit=3600')
        self.assertEqual(entry(volume.path)[:2], (loop_of(volume.image), 'fuseblk.scalefs'))
        (volume.path / 'synced').touch()
        os.sync()
        volume.kill()
        volume.fsck()
        self.assertIsNone(loop_of(volume.image))
        volume.mount('fuseblk', 'commit=3600')
        self.assertEqual(os.listdir(volume.path), ['synced'])
        (volume.path / 'data').write_bytes(os.urandom(20_000_000))
        os.kill(volume.pid, signal.SIGSTOP)  # it cannot have ended by itself before
        unmount = subprocess.Popen(['umount', '-i', volume.path])
        with self.assertRaises(subprocess.TimeoutExpired):
            unmount.wait(1)
        os.kill(volume.pid, signal.SIGCONT)
        self.assertEqual(unmount.wait(60), 0)
        volume.gone()
        self.assertIsNone(loop_of(volume.image))
        volume.fsck()

    def test_the_line_in_fstab(self):
        volume = self.volume('32M')
        other = self.folder / 'other'
        other.mkdir()
        write_fstab(f'{volume.image} {volume.path} scalefs fuseblk 0 0')
        self.assertEqual(attempt('mount', '-a'), (0, ''))
        self.started(volume)
        status, text = attempt('mount', '-t', 'scalefs', volume.image, other)
        self.assertEqual(status, FAILED)
        self.assertIn(f'it is mounted on {volume.path}', text)
        self.assertEqual(attempt('mount', '-o', 'remount,ro', volume.path), (0, ''))
        self.assertEqual(attempt('mount', '-o', 'remount,rw', volume.path), (0, ''))
        (volume.path / 'file').touch()
        with open(volume.path / 'file', 'rb'):
            status, text = attempt('umount', volume.path)
            self.assertEqual(status, FAILED)
            self.assertIn('is used by', text)
        self.assertEqual(attempt('umount.scalefs', volume.image), (0, ''))
        self.ended(volume)

    def test_a_device(self):
        volume = self.volume('32M')
        device = run('losetup', '--find', '--show', volume.image).stdout.strip()
        self.addCleanup(run, 'losetup', '-d', device)
        for options in ('fuseblk', 'fuseblk,ro'):
            run('mount', '-t', 'scalefs', '-o', options, device, volume.path)
            self.started(volume)
            self.assertEqual(entry(volume.path)[:2], (device, 'fuseblk.scalefs'))
            self.assertEqual('ro' in options, 'ro' in entry(volume.path)[2])
            run('umount', volume.path)
            self.ended(volume)

    def test_a_signal(self):
        volume = self.volume('32M').mount('fuseblk', 'commit=3600')
        (volume.path / 'file').touch()
        volume.terminate()
        self.assertIsNone(entry(volume.path))
        volume.fsck()
        volume.mount('fuseblk')
        with contextlib.suppress(OSError), open(volume.path / 'file', 'rb+', buffering=0):
            volume.terminate()
        self.assertIsNone(entry(volume.path))
        volume.fsck()

    def test_where_there_is_no_loop_device(self):
        volume = self.volume('32M')
        os.rename('/dev/loop-control', '/dev/loop-away')
        self.addCleanup(os.rename, '/dev/loop-away', '/dev/loop-control')
        volume.mount()
        self.assertEqual(entry(volume.path)[:2], (str(volume.image), 'fuse.scalefs'))
        wanted = f'there is no loop device for {volume.image} (No such file or directory): sync(2)'
        self.assertIn(wanted, volume.wait_for_message(wanted))
        volume.unmount()
        with self.assertRaisesRegex(AssertionError, 'fuseblk: no loop device'):
            volume.mount('fuseblk')

    def test_what_else_leaves_it_out(self):
        volume = self.volume('32M')
        for words, kind in ((('-t', 'scalefs', '-o', 'nofuseblk'), 'fuse.scalefs'), (('-t', 'fuse.scalefs'), 'fuse.scalefs'),
                            (('-t', 'scalefs', '-o', f'fsname={volume.image}'), 'fuse.scalefs'),
                            (('-t', 'fuse.scalefs', '-o', 'fuseblk'), 'fuseblk.scalefs'),
                            (('-t', 'fuseblk.scalefs'), 'fuseblk.scalefs')):
            self.assertEqual(attempt('mount', *words, volume.image, volume.path), (0, ''), words)
            self.started(volume)
            self.assertEqual(entry(volume.path)[:2],
                             (str(volume.image) if kind == 'fuse.scalefs' else loop_of(volume.image), kind), words)
            run('umount', volume.path)
            self.ended(volume)

    def test_where_it_cannot_be(self):
        for words, text in ((('--memory',), 'fuseblk needs an image'), (('-o', 'fsname=x', 'a.img'), 'exclude')):
            status, found = attempt(SCALEFS, '-o', 'fuseblk', *words, self.folder)
            self.assertEqual(status, 1)
            self.assertIn(text, found)
        volume = self.volume('32M')
        os.chown(volume.image, NOBODY, NOBODY)
        os.chown(volume.path, NOBODY, NOBODY)
        status, found = attempt(*as_user(NOBODY, SCALEFS, '-o', 'fuseblk', volume.image, volume.path))
        self.assertEqual(status, FAILED)
        self.assertIn('fuseblk: no loop device', found)


class Remount(WaysTest):
    def mounted(self, options):
        volume = self.volume('32M')
        run('mount', '-t', 'scalefs', '-o', options, volume.image, volume.path)
        self.started(volume)
        return volume

    def test_read_only_and_back(self):
        volume = self.mounted('commit=3600,noatime')
        pid = volume.pid
        (volume.path / 'file').write_bytes(b'before')
        run('mount', '-o', 'remount,ro', volume.path)
        with self.assertRaises(OSError) as caught:
            (volume.path / 'other').touch()
        self.assertEqual(caught.exception.errno, errno.EROFS)
        # What was done before is durable now.
        os.kill(volume.pid, signal.SIGKILL)
        mount.wait_for_end(volume.pid)
        run('umount', volume.path)
        run('mount', '-t', 'scalefs', volume.image, volume.path)
        self.started(volume)
        self.assertEqual((volume.path / 'file').read_bytes(), b'before')
        pid = volume.pid
        run('mount', '-o', 'remount,ro', volume.path)
        run('mount', '-o', 'remount,rw,nosuid', volume.path)
        (volume.path / 'other').touch()
        self.assertEqual(volume.find_daemon(), pid)
        run('umount', volume.path)
        self.ended(volume)

    def test_read_only_is_refused_while_files_are_written(self):
        volume = self.mounted('rw')
        with open(volume.path / 'file', 'wb'):
            status, text = attempt('mount', '-o', 'remount,ro', volume.path)
            self.assertEqual(status, FAILED)
            self.assertIn('busy', text)
        (volume.path / 'other').touch()
        run('umount', volume.path)
        self.ended(volume)

    def test_what_cannot_be_changed_is_named(self):
        volume = self.mounted('ro')
        status, text = attempt('mount', '-o', 'remount,rw', volume.path)
        self.assertEqual(status, FAILED)
        self.assertIn('was mounted read-only', text)
        run('umount', volume.path)
        volume.pid = None
        run('mount', '-t', 'scalefs', '-o', 'commit=7', volume.image, volume.path)
        self.started(volume)
        for options, name in (('commit=8', 'commit'), ('cache_size=64M', 'cache_size'), ('noatime', 'noatime'),
                              ('strictatime', 'strictatime'), ('nodiratime', 'nodiratime'),
                              ('dirsync', 'sync'), ('strict_open', 'strict_open'), ('writeback_cache', 'writeback_cache'), ('discard', 'discard'),
                              ('errors=remount-ro', 'errors'), ('q_depth=8', 'q_depth')):
            status, text = attempt('mount', '-o', f'remount,{options}', volume.path)
            self.assertEqual((status, options), (FAILED, options))
            self.assertIn(f'{name} cannot be changed', text)
        self.assertEqual(attempt('mount', '-o', 'remount,commit=7,rw', volume.path), (0, ''))
        status, text = attempt('mount', '-o', 'remount,comit=7', volume.path)
        self.assertIn("did you mean 'commit'?", text)
        run('umount', volume.path)
        self.ended(volume)


class Users(WaysTest):
    """Mounts by users who are not root, through fusermount3."""

    def own_volume(self):
        volume = self.volume('32M')
        os.chown(volume.image, NOBODY, NOBODY)
        os.chown(volume.path, NOBODY, NOBODY)
        return volume

    def test_a_user_mounts_an_image_of_his_own(self):
        volume = self.own_volume()
        self.assertEqual(attempt(*as_user(NOBODY, SCALEFS, '-o', 'suid,dev', volume.image, volume.path)),
                         (0, ''))
        self.started(volume)
        self.assertLessEqual({'nosuid', 'nodev', f'user_id={NOBODY}'}, entry(volume.path)[2])
        with self.assertRaises(PermissionError):  # others, even root, unless they are let in
            os.listdir(volume.path)
        # The new volume's root directory belongs to root, who made it; reading is for all.
        self.assertEqual(attempt(*as_user(NOBODY, 'ls', volume.path)), (0, ''))
        self.assertEqual(attempt(*as_user(NOBODY, SCALEFS, 'stat', volume.path))[0], 0)
        self.assertNotEqual(attempt(*as_user(STRANGER, SCALEFS, 'stat', volume.path))[0], 0)
        status, text = attempt(*as_user(STRANGER, 'umount', volume.path))
        self.assertNotEqual(status, 0)
        self.assertIsNotNone(entry(volume.path), text)
        self.assertEqual(attempt(*as_user(NOBODY, 'umount', volume.path)), (0, ''))
        self.ended(volume)

    def test_a_line_for_users(self):
        volume = self.own_volume()
        write_fstab(f'{volume.image} {volume.path} scalefs user,noauto 0 0')
        self.assertEqual(attempt(*as_user(NOBODY, 'mount', volume.path)), (0, ''))
        self.started(volume)
        self.assertLessEqual({'nosuid', 'nodev', 'noexec'}, entry(volume.path)[2])
        self.assertEqual(attempt(*as_user(NOBODY, 'umount', volume.path)), (0, ''))
        self.ended(volume)

    def test_a_signal_ends_a_users_mount(self):
        volume = self.own_volume()
        run(*as_user(NOBODY, SCALEFS, volume.image, volume.path))
        volume.pid = volume.find_daemon()
        os.kill(volume.pid, signal.SIGTERM)
        volume.gone()
        self.assertIsNone(entry(volume.path))
        volume.fsck()


class Busy(WaysTest):
    def mounted(self, size='32M'):
        volume = self.volume(size)
        run('mount', '-t', 'scalefs', '-o', 'commit=3600', volume.image, volume.path)
        self.started(volume)
        return volume

    def test_umount_returns_when_everything_is_written(self):
        volume = self.mounted('128M')
        (volume.path / 'file').write_bytes(os.urandom(40_000_000))
        self.assertEqual(attempt('umount', volume.path), (0, ''))
        self.ended(volume)

    def test_who_uses_it_is_named(self):
        volume = self.mounted()
        with open(volume.path / 'file', 'wb') as file:
            file.write(b'x')
            status, text = attempt('umount', volume.path)
            self.assertEqual(status, FAILED)
            self.assertIn('busy', text)
            self.assertIn(f'process {os.getpid()} (python3', text)
            self.assertIsNotNone(entry(volume.path))
            os.listdir(volume.path)  # it still serves
        run('umount', volume.path)
        self.ended(volume)

    def test_lazily(self):
        volume = self.mounted()
        with open(volume.path / 'file', 'wb', buffering=0) as file:
            self.assertEqual(attempt('umount', '-l', volume.path), (0, ''))
            self.assertIsNone(entry(volume.path))
            file.write(b'written after the detachment')
            # The image is in use as long as the file is.
            status, text = attempt(FSCK, '-n', volume.image)
            self.assertNotEqual(status, 0)
        volume.gone()
        volume.fsck()
        run('mount', '-t', 'scalefs', volume.image, volume.path)
        self.started(volume)
        self.assertEqual((volume.path / 'file').read_bytes(), b'written after the detachment')
        run('umount', volume.path)
        self.ended(volume)

    def test_a_signal_spares_what_was_mounted_since(self):
        first = self.mounted()
        second = self.volume('32M', 'second')
        file = os.open(first.path / 'file', os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            run('umount', '-l', first.path)
            run(SCALEFS, second.image, first.path)
            (first.path / 'of the second').touch()
            os.kill(first.pid, signal.SIGTERM)
            first.gone()
            with self.assertRaises(OSError):
                os.pwrite(file, b'too late', 0)
            self.assertEqual(os.listdir(first.path), ['of the second'])
        finally:
            with contextlib.suppress(OSError):
                os.close(file)
            run('umount', first.path)
        first.fsck()
        second.fsck()

    def test_two_places(self):
        volume = self.mounted()
        other = self.folder / 'other'
        other.mkdir()
        run('mount', '--bind', volume.path, other)
        status, text = attempt('umount', volume.path)
        self.assertEqual(status, 0)
        self.assertIn(f'still mounted on {other}', text)
        (other / 'file').touch()
        self.assertEqual(attempt('umount', other), (0, ''))
        self.ended(volume)

    def test_two_mounts_of_one_image(self):
        volume = self.mounted()
        other = self.folder / 'other'
        other.mkdir()
        started = time.monotonic()
        status, text = attempt('mount', '-t', 'scalefs', volume.image, other)
        self.assertEqual(status, FAILED)
        self.assertIn(f'in use by process {volume.pid}: it is mounted on {volume.path}', text)
        self.assertLess(time.monotonic() - started, 30)
        self.assertIsNone(entry(other))
        run('umount', volume.path)
        self.ended(volume)

    def test_a_daemon_that_was_killed(self):
        volume = self.mounted()
        (volume.path / 'synced').touch()
        run(SCALEFS, 'sync', volume.path)
        os.stat(volume.path)  # its attributes are kept by the kernel
        os.kill(volume.pid, signal.SIGKILL)
        mount.wait_for_end(volume.pid)
        volume.pid = None
        status, text = attempt('mount', '-t', 'scalefs', volume.image, volume.path)
        self.assertEqual(status, FAILED)
        self.assertIn(f"umount '{volume.path}' first", text)
        self.assertEqual(attempt(SCALEFS, 'sync', volume.path)[0], 1)
        status, text = attempt('umount', volume.path)
        self.assertEqual(status, 0)
        self.assertIn('had ended before', text)
        self.assertIsNone(entry(volume.path))
        run('mount', '-t', 'scalefs', volume.image, volume.path)
        self.started(volume)
        self.assertEqual(os.listdir(volume.path), ['synced'])
        run('umount', volume.path)
        self.ended(volume)

    def test_what_is_not_ours(self):
        for operand, text in ((self.folder, 'is not mounted'), ('/proc', 'no scalefs volume')):
            status, found = attempt('umount.scalefs', operand)
            self.assertEqual(status, FAILED)
            self.assertIn(text, found)
        for words in ((), ('-q',), ('a', 'b'), ('-t',)):
            status, found = attempt('umount.scalefs', *words)
            self.assertEqual(status, 1)
            self.assertIn('usage: umount.scalefs', found)
        self.assertIsNotNone(entry('/proc'))


if __name__ == '__main__':
    main()
