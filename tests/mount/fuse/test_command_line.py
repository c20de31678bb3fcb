"""The command line of scalefs: exit statuses, messages, options as mount(8) gives them, signals, locks."""

import fcntl
import mmap
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

import mount  # noqa: E402
from mount import FSCK, MKFS, SCALEFS, MountTest, run  # noqa: E402

USAGE, MOUNT_FAILED = 1, 32


def scalefs(*words, **more):
    done = run(SCALEFS, *words, check=False, timeout=60, **more)
    return done.returncode, done.stdout


class Errors(MountTest):
    def expect(self, status, text, *words):
        found, output = scalefs(*words)
        self.assertEqual(found, status, output)
        self.assertIn(text, output)
        self.assertNotIn('\n\n', output)
        self.assertEqual(mount.Volume.live, set())

    def test_usage(self):
        self.expect(USAGE, 'no image and no mount point given')
        self.expect(USAGE, 'no mount point given', 'disk.img')
        self.expect(USAGE, "'c' is one operand too many", 'a', 'b', 'c')
        self.expect(USAGE, "did you mean 'noatime'?", 'a', 'b', '-o', 'noatmie')
        self.expect(USAGE, "unknown option '-q'", '-q')
        self.expect(USAGE, 'sync takes one mount point', 'sync')

    def test_help_and_version_go_to_standard_output(self):
        for word in ('-h', '--help', '-V', '--version'):
            done = subprocess.run([SCALEFS, word], capture_output=True, text=True, check=True)
            self.assertTrue(done.stdout)
            self.assertEqual(done.stderr, '')

    def test_missing_things(self):
        volume = self.volume('32M')
        none = self.folder / 'none'
        self.expect(MOUNT_FAILED, f"mount point '{none}' does not exist", volume.image, none)
        self.expect(MOUNT_FAILED, 'is not a directory', volume.image, volume.image)
        self.expect(MOUNT_FAILED, str(none), none, volume.path)
        self.expect(MOUNT_FAILED, 'scalefs:', self.folder, volume.path)

    def test_images_that_are_not_ours_or_are_damaged(self):
        volume = self.volume('32M')
        foreign = self.folder / 'foreign'
        foreign.write_bytes(os.urandom(16 << 20))
        self.expect(MOUNT_FAILED, 'not a scalefs', foreign, volume.path)
        empty = self.folder / 'empty'
        empty.touch()
        self.expect(MOUNT_FAILED, str(empty), empty, volume.path)
        os.truncate(volume.image, 20 << 20)
        self.expect(MOUNT_FAILED, str(volume.image), volume.image, volume.path)
        self.assertFalse(mount.is_mounted(volume.path))

    def test_a_mount_whose_daemon_died_is_named_as_such(self):
        volume = self.volume('32M').mount()
        os.kill(volume.pid, signal.SIGKILL)
        volume.gone(status=-signal.SIGKILL)
        self.expect(MOUNT_FAILED, f"umount '{volume.path}' first", volume.image, volume.path)
        run('umount', volume.path)
        volume.mount()
        volume.unmount()

    def test_an_image_in_use_is_waited_for_and_then_named(self):
        volume = self.volume('32M').mount()
        other = self.folder / 'other'
        other.mkdir()
        status, output = scalefs(volume.image, other)
        self.assertEqual(status, MOUNT_FAILED)
        self.assertIn(f'in use by process {volume.pid}: it is mounted on {volume.path}', output)
        self.assertNotEqual(run(MKFS, '-f', volume.image, check=False).returncode, 0)
        volume.unmount()
        with open(volume.image, 'r+b') as image:  # in use, but not mounted: whoever it is may be ending
            lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            fcntl.fcntl(image, 37, lock)  # F_OFD_SETLK
            status, output = scalefs(volume.image, volume.path)
        self.assertEqual(status, MOUNT_FAILED)
        self.assertIn(f'waiting for process {os.getpid()}', output)
        self.assertIn(f'in use by process {os.getpid()}', output)

    def test_a_mount_waits_for_a_daemon_that_is_ending(self):
        volume = self.volume('128M').mount()
        (volume.path / 'data').write_bytes(os.urandom(30 << 20))
        pid = volume.pid
        run('umount', volume.path)  # returns before the daemon has written everything
        volume.pid = None
        volume.mount()
        self.assertNotEqual(volume.pid, pid)
        self.assertEqual(os.stat(volume.path / 'data').st_size, 30 << 20)
        volume.unmount()
        volume.fsck()

    def test_sync_is_for_mounted_volumes(self):
        self.expect(USAGE, 'not the mount point of a scalefs volume', 'sync', '/')
        self.expect(USAGE, 'No such file', 'sync', self.folder / 'none')
        volume = self.volume(memory=True).mount()
        (volume.path / 'dir').mkdir()
        status, output = scalefs('sync', volume.path / 'dir')
        self.assertEqual(status, USAGE)
        self.assertIn('not the mount point', output)
        self.assertEqual(scalefs('sync', volume.path), (0, ''))
        volume.unmount()


class Mounts(MountTest):
    def test_success_is_silent_and_the_mount_is_live(self):
        volume = self.volume('32M')
        default = 'fuseblk.scalefs' if mount.has_loops() else 'fuse.scalefs'
        for options, kind in (('nofuseblk', 'fuse.scalefs'), ('defaults', default)):
            status, output = scalefs('-o', options, volume.image, volume.path)
            self.assertEqual((status, output), (0, ''))
            (volume.path / 'file').write_bytes(b'at once')
            volume.pid = volume.find_daemon()
            with open('/proc/self/mounts', encoding='utf-8') as lines:
                line = next(line for line in lines if f' {volume.path} ' in line)
            source, where, found, shown = line.split()[:4]
            self.assertEqual((where, found), (str(volume.path), kind))
            if kind == 'fuse.scalefs':
                self.assertEqual(source, str(volume.image))
            else:
                behind = pathlib.Path('/sys/block', source.removeprefix('/dev/'), 'loop/backing_file')
                self.assertEqual(behind.read_text(encoding='utf-8').strip(), str(volume.image))
            self.assertLessEqual({'rw', 'default_permissions', 'allow_other'}, set(shown.split(',')))
            volume.unmount()

    def test_relative_paths_and_options_last(self):
        volume = self.volume('32M')
        done = run(SCALEFS, volume.image.name, volume.path.name, '-o', 'rw,noatime,nofail,x-test=1',
                   cwd=self.folder)
        self.assertEqual(done.stdout, '')
        volume.pid = volume.find_daemon(volume.path.name)
        (volume.path / 'file').touch()
        volume.unmount()

    def test_mount_finds_the_helper_by_its_type(self):
        volume = self.volume('32M')
        helper = pathlib.Path('/sbin/mount.fuse.scalefs')
        if helper.exists() or helper.is_symlink():
            self.skipTest('scalefs is installed on this machine')
        helper.symlink_to(SCALEFS)
        self.addCleanup(helper.unlink)
        run('mount', '-t', 'fuse.scalefs', '-o', 'noatime,nofail', volume.image, volume.path)
        volume.pid = volume.find_daemon()
        (volume.path / 'file').touch()
        run('mount', '-o', 'remount,ro', volume.path)
        with self.assertRaises(OSError):
            (volume.path / 'other').touch()
        run('mount', '-o', 'remount,rw', volume.path)
        (volume.path / 'other').touch()
        self.assertEqual(volume.find_daemon(), volume.pid)
        volume.unmount()

    def test_a_read_only_mount(self):
        volume = self.volume('32M').mount()
        (volume.path / 'file').write_bytes(b'content')
        volume.unmount()
        before = volume.image.read_bytes()
        volume.mount('ro')
        self.assertEqual((volume.path / 'file').read_bytes(), b'content')
        with self.assertRaises(OSError):
            (volume.path / 'other').touch()
        volume.unmount()
        self.assertEqual(volume.image.read_bytes(), before, 'a read-only mount wrote')

    def test_an_image_that_cannot_be_written_is_mounted_read_only(self):
        volume = self.volume('32M').mount()
        (volume.path / 'file').write_bytes(b'content')
        volume.unmount()
        # Root may write any file; a read-only bind mount is stronger.
        run('mount', '--bind', self.folder, self.folder)
        self.addCleanup(run, 'umount', '-l', self.folder, check=False)
        run('mount', '-o', 'remount,bind,ro', self.folder)
        status, output = scalefs(volume.image, volume.path)
        self.assertEqual(status, 0, output)
        self.assertIn('read-only', output)
        volume.pid = volume.find_daemon()
        self.assertEqual((volume.path / 'file').read_bytes(), b'content')
        with self.assertRaises(OSError):
            (volume.path / 'file').write_bytes(b'x')
        volume.unmount()

    def test_signals_write_everything_and_unmount(self):
        volume = self.volume('128M')
        for number, how in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)):
            volume.mount('commit=3600')
            (volume.path / f'file-{number}').write_bytes(b'x' * 1_000_000)
            volume.terminate(how)
            self.assertFalse(mount.is_mounted(volume.path))
            volume.fsck()
        volume.mount()
        self.assertEqual(sorted(os.listdir(volume.path)), ['file-0', 'file-1', 'file-2'])
        os.kill(volume.pid, signal.SIGUSR1)  # statistics to the log: no harm
        os.listdir(volume.path)
        volume.unmount()

    def test_a_signal_to_a_busy_mount_detaches_it(self):
        volume = self.volume('128M').mount('commit=3600')
        held = open(volume.path / 'held', 'wb', buffering=0)
        held.write(b'written before')
        volume.terminate()
        self.assertFalse(mount.is_mounted(volume.path))
        with self.assertRaises(OSError):
            held.write(b'too late')
        try:
            held.close()
        except OSError:
            pass
        volume.fsck()
        volume.mount()
        self.assertEqual((volume.path / 'held').read_bytes(), b'written before')
        volume.unmount()

    def test_in_the_foreground(self):
        volume = self.volume('32M')
        address = self.folder / 'notify'
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(address))
            notify.settimeout(60)
            process = subprocess.Popen([SCALEFS, '-f', volume.image, volume.path],
                                       env={**os.environ, 'NOTIFY_SOCKET': str(address)})
            self.assertTrue(notify.recv(500).startswith(b'READY=1\nSTATUS=serving'))
            volume.pid = process.pid
            (volume.path / 'file').touch()
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(60), 0)
            volume.pid = None
        self.assertFalse(mount.is_mounted(volume.path))
        volume.fsck()

    def test_names_that_are_synchronous(self):
        volume = self.volume('64M').mount('dirsync', 'commit=3600')
        (volume.path / 'dir').mkdir()
        (volume.path / 'dir' / 'file').touch()
        os.rename(volume.path / 'dir' / 'file', volume.path / 'dir' / 'renamed')
        os.symlink('x', volume.path / 'link')
        volume.kill()
        volume.mount('commit=3600')
        self.assertEqual(sorted(os.listdir(volume.path)), ['dir', 'link'])
        self.assertEqual(os.listdir(volume.path / 'dir'), ['renamed'])
        volume.unmount()
        volume.fsck()

    def test_writes_that_are_synchronous(self):
        volume = self.volume('64M').mount('commit=3600')
        for number, flag in enumerate((os.O_SYNC, os.O_DSYNC)):
            fd = os.open(volume.path / f'{number}', os.O_CREAT | os.O_WRONLY | flag)
            os.write(fd, b'x' * 10_000)
            volume.kill()
            try:
                os.close(fd)
            except OSError:
                pass
            volume.fsck()
            volume.mount('commit=3600')
            self.assertEqual((volume.path / f'{number}').read_bytes(), b'x' * 10_000)
        volume.unmount()

    def test_the_sync_command_covers_mapped_pages(self):
        volume = self.volume('64M').mount('commit=3600')
        path = volume.path / 'mapped'
        path.write_bytes(b'\0' * 8192)
        with open(path, 'r+b') as file, mmap.mmap(file.fileno(), 8192) as view:
            view[5000:5005] = b'hello'
            volume.sync()
            volume.kill()
        volume.fsck()
        volume.mount()
        self.assertEqual(path.read_bytes()[5000:5005], b'hello')
        volume.unmount()

    def test_everything_is_committed_within_the_interval(self):
        volume = self.volume('64M').mount('commit=1')
        (volume.path / 'file').write_bytes(b'not synced')
        time.sleep(4)  # the only way to see a period pass
        volume.kill()
        volume.mount()
        self.assertEqual((volume.path / 'file').read_bytes(), b'not synced')
        volume.unmount()
        volume.fsck()

    def test_the_shutdown_ioctl_stops_the_volume_as_a_crash_would(self):
        goingdown = 0x8004587d  # _IOR('X', 125, uint32_t)
        for mode, kept in ((0, True), (1, True), (2, False)):
            volume = self.volume('64M', name=f'mode-{mode}').mount('commit=3600')
            (volume.path / 'synced').touch()
            volume.fsync_root()
            (volume.path / 'unsynced').touch()
            fd = os.open(volume.path, os.O_RDONLY)
            fcntl.ioctl(fd, goingdown, struct.pack('I', mode))
            os.close(fd)
            with self.assertRaises(OSError):
                (volume.path / 'later').touch()
            run('umount', volume.path)
            volume.gone()
            volume.fsck()
            volume.mount()
            self.assertTrue((volume.path / 'synced').exists())
            self.assertEqual((volume.path / 'unsynced').exists(), kept)
            self.assertFalse((volume.path / 'later').exists())
            volume.unmount()

    def test_the_checker_waits_for_the_daemon(self):
        volume = self.volume('64M').mount()
        (volume.path / 'file').write_bytes(os.urandom(20_000_000))
        run('umount', volume.path)
        run(FSCK, '-n', volume.image, timeout=60)
        volume.gone()

    def test_two_volumes_at_once(self):
        first = self.volume('64M', name='first').mount()
        second = self.volume('64M', name='second').mount()
        (first.path / 'file').write_bytes(b'1' * 100_000)
        run('cp', '-a', first.path / 'file', second.path / 'file')
        first.unmount()
        self.assertEqual((second.path / 'file').read_bytes(), b'1' * 100_000)
        second.unmount()
        first.fsck()
        second.fsck()


if __name__ == '__main__':
    mount.main()
