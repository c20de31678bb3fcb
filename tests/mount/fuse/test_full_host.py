"""A sparse image whose host runs full: the error is told and stays, what is durable can be read, and nothing that was
promised is missing when the host has room again. On a tmpfs and on an ext4."""

import errno
import os
import pathlib
import random
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import FSCK, MKFS, MountTest, Volume, has_loops, main, run  # noqa: E402

MEBIBYTE = 1 << 20
REFUSED = (errno.EIO, errno.EROFS)


def error_of(call, *words):
    """What a call answers: 0 or its errno."""
    try:
        call(*words)
    except OSError as error:
        return error.errno
    return 0


def write_synced(path, data):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    try:
        left = data
        while left:
            left = left[os.write(fd, left):]
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_only(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class FullHost(MountTest):
    def host(self, kind):
        """A small file system, sparse images on which it cannot hold."""
        host = self.folder / kind
        host.mkdir()
        if kind == 'tmpfs':
            run('mount', '-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', host)
        else:
            if not has_loops():
                self.skipTest('there is no loop device')
            image = self.folder / 'ext4.img'
            with open(image, 'wb') as file:
                file.truncate(64 * MEBIBYTE)
            run('mkfs.ext4', '-q', '-F', image)
            run('mount', '-o', 'loop', image, host)
        self.addCleanup(run, 'umount', '-l', host, check=False)
        return host

    def start(self, kind):
        """A volume of 256 MiB there, and files that are durable: (volume, host, {path: content})."""
        host = self.host(kind)
        volume = Volume(self.folder)
        self.volumes.append(volume)
        volume.image = host / 'sparse.img'
        run(MKFS, '-q', volume.image, '256M')
        self.assertLess(os.stat(volume.image).st_blocks * 512, 18 * MEBIBYTE)  # the journal and little else
        # The checks below count on no writeback but their own.
        volume.mount('commit=600')
        seed = int(os.environ.get('SCALEFS_SEED', random.SystemRandom().randrange(1 << 32)))
        print(f'SCALEFS_SEED={seed}', flush=True)
        self.random = random.Random(seed)
        promised = {}
        for i in range(30):
            self.promise(promised, volume.path / f'kept-{i}', 1 + self.random.randrange(128 << 10))
        return volume, host, promised

    def promise(self, promised, path, size):
        data = self.random.randbytes(size)
        write_synced(path, data)
        promised[path] = data

    def fill(self, host):
        """Until the host has no block left."""
        with open(host / 'ballast', 'wb', buffering=0) as file:
            step = MEBIBYTE
            while step >= 512:
                if error_of(lambda: self.assertGreater(file.write(bytes(step)), 0)):
                    step //= 2
            os.fsync(file.fileno())

    def break_it(self, volume, promised):
        """Changes until one is refused; the errno."""
        for i in range(2000):
            path = volume.path / f'more-{i}'
            code = error_of(self.promise, promised, path, 1 + self.random.randrange(256 << 10))
            if code:
                return code
        return self.fail('a host without room takes everything')

    def expect_failed(self, volume, promised):
        """The volume has failed, and all of it that was promised is there."""
        for path in (volume.path, *list(promised)[:3]):
            self.assertEqual(error_of(sync_only, path), errno.EIO, path)
        self.assertEqual(error_of(os.mkdir, volume.path / 'new'), errno.EROFS)
        self.assertEqual(error_of(os.unlink, volume.path / 'kept-0'), errno.EROFS)
        self.assertEqual(error_of(os.truncate, volume.path / 'kept-1', 0), errno.EROFS)
        self.check(volume, promised)
        self.assertIn('read-only from now on', volume.messages())
        self.assertIn('sparse.img: a write failed: No space left on device; the file system that holds it is full',
                      volume.messages())

    def check(self, volume, promised):
        with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as drop:
            drop.write('3')  # so that the daemon is asked
        for path, data in promised.items():
            self.assertEqual(path.read_bytes(), data, path)
        self.assertLessEqual({path.name for path in promised}, set(os.listdir(volume.path)))

    def room_again(self, volume, host, promised):
        """The host has room, the daemon has gone: the image is whole, and can be used."""
        (host / 'ballast').unlink()
        run(FSCK, '-n', volume.image)
        volume.mount()
        self.check(volume, promised)
        for i in range(20):
            self.promise(promised, volume.path / f'last-{i}', 100_000)
        volume.remount()
        self.check(volume, promised)
        volume.unmount()
        volume.fsck()

    def fsync_tells(self, kind):
        volume, host, promised = self.start(kind)
        self.fill(host)
        self.assertIn(self.break_it(volume, promised), REFUSED)
        self.expect_failed(volume, promised)
        # Room does not mend what has failed: only a mount does.
        (host / 'ballast').unlink()
        self.expect_failed(volume, promised)
        self.fill(host)
        run('umount', volume.path)
        volume.gone(status=volume.process.wait())
        self.room_again(volume, host, promised)

    def test_fsync_tells_and_goes_on_telling_on_tmpfs(self):
        self.fsync_tells('tmpfs')

    @unittest.skipUnless(shutil.which('mkfs.ext4'), 'there is no mkfs.ext4')
    def test_fsync_tells_and_goes_on_telling_on_ext4(self):
        self.fsync_tells('ext4')

    def test_sync_tells_what_nobody_waited_for(self):
        volume, host, promised = self.start('tmpfs')
        self.fill(host)
        for i in range(40):
            (volume.path / f'loose-{i}').write_bytes(self.random.randbytes(300_000))
        self.assertIn(error_of(sync_only, volume.path / 'loose-0'), REFUSED)
        self.expect_failed(volume, promised)
        # What was answered is still in memory, and is not lost before somebody has taken it away.
        self.assertEqual(os.stat(volume.path / 'loose-39').st_size, 300_000)
        volume.kill()
        self.room_again(volume, host, promised)

    def test_an_unmount_that_finds_no_room_loses_nothing_durable(self):
        volume, host, promised = self.start('tmpfs')
        self.fill(host)
        for i in range(40):
            (volume.path / f'loose-{i}').write_bytes(self.random.randbytes(300_000))
        run('umount', volume.path)
        status = volume.process.wait(60)
        self.assertNotEqual(status, 0, 'an unmount that has lost data says so')
        volume.gone(status=status)
        self.room_again(volume, host, promised)

    def test_a_mount_that_finds_no_room_says_so(self):
        volume, host, promised = self.start('tmpfs')
        volume.kill()
        self.fill(host)
        # The first superblock of a mount is written over an older one, and its batch into the journal: either it is
        # refused with a reason, or it works.
        try:
            volume.mount()
        except AssertionError as error:
            self.assertIn('cannot mount', str(error))
            self.assertIn('No space left on device', str(error))
        else:
            self.check(volume, promised)
            volume.kill()
        self.room_again(volume, host, promised)


if __name__ == '__main__':
    main()
