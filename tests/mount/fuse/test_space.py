"""Limits of space: a volume that is full, and memory that is bounded."""

import errno
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import SANITIZED, MountTest, fingerprint, compare, main, status_of  # noqa: E402

MEBIBYTE = 1 << 20


def pattern(number, length):
    """Bytes that tell where they belong."""
    word = b'%015d\n' % number
    return word * (length // len(word))


class FullVolume(MountTest):
    def fill(self, folder, size):
        """Writes files until there is no room; returns how many were written whole."""
        folder.mkdir(exist_ok=True)
        number = 0
        while True:
            path = folder / f'{number}'
            try:
                with open(path, 'wb', buffering=0) as file:
                    data = pattern(number, size)
                    while data:
                        data = data[file.write(data):]
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)
                path.unlink(missing_ok=True)
                return number
            number += 1
            self.assertLess(number, 100_000)

    def check(self, folder, count, size):
        self.assertEqual(len(os.listdir(folder)), count)
        for number in range(count):
            self.assertEqual((folder / f'{number}').read_bytes(), pattern(number, size), number)

    def test_nothing_is_lost_and_unlink_works(self):
        volume = self.volume('64M').mount()
        data = volume.path / 'data'
        size = MEBIBYTE
        count = self.fill(data, size)
        self.assertGreater(count, 20)
        # What was accepted can be made durable.
        volume.fsync_root()
        self.check(data, count, size)
        volume.remount()
        self.check(data, count, size)
        volume.kill()
        volume.fsck()
        volume.mount()
        self.check(data, count, size)
        # Room comes back, on a full volume too.
        for number in range(0, count, 2):
            (data / f'{number}').unlink()
        volume.fsync_root()
        again = self.fill(volume.path / 'again', size)
        self.assertGreater(again, count // 3)
        self.check(volume.path / 'again', again, size)
        for number in range(1, count, 2):
            self.assertEqual((data / f'{number}').read_bytes(), pattern(number, size))
        volume.unmount()
        volume.fsck()

    def test_files_that_are_small_and_many(self):
        volume = self.volume('32M').mount()
        folder = volume.path / 'small'
        count = self.fill(folder, 4096)
        self.assertGreater(count, 1000)
        volume.fsync_root()
        before = fingerprint(volume.path)
        volume.kill()
        volume.fsck()
        volume.mount()
        compare(before, fingerprint(volume.path), 'after a crash of a full volume')
        for name in os.listdir(folder):
            (folder / name).unlink()
        os.rmdir(folder)
        self.assertGreater(self.fill(volume.path / 'next', 4096), count // 2)
        volume.unmount()
        volume.fsck()

    def test_truncate_and_punch_give_room(self):
        volume = self.volume('64M').mount()
        count = self.fill(volume.path / 'data', 4 * MEBIBYTE)
        self.assertGreater(count, 5)
        for number in range(count):
            os.truncate(volume.path / 'data' / f'{number}', 4096)
        volume.fsync_root()
        self.assertGreater(self.fill(volume.path / 'more', 4 * MEBIBYTE), count // 2)
        volume.unmount()
        volume.fsck()

    def test_an_overwritten_preallocated_file_needs_no_room(self):
        volume = self.volume('64M').mount()
        path = volume.path / 'reserved'
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
        os.posix_fallocate(fd, 0, 8 * MEBIBYTE)
        self.fill(volume.path / 'data', MEBIBYTE)
        for i in range(8):
            self.assertEqual(os.pwrite(fd, pattern(i, MEBIBYTE), i * MEBIBYTE), MEBIBYTE)
        os.fsync(fd)
        os.close(fd)
        volume.remount()
        self.assertEqual(path.read_bytes(), b''.join(pattern(i, MEBIBYTE) for i in range(8)))
        volume.unmount()
        volume.fsck()


class BoundedMemory(MountTest):
    def test_a_file_of_four_times_the_cache(self):
        volume = self.volume('1G').mount('cache_size=64M')
        path = volume.path / 'large'
        parts = 256
        with open(path, 'wb', buffering=0) as file:
            for part in range(parts):
                self.assertEqual(file.write(pattern(part, MEBIBYTE)), MEBIBYTE)
        with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as drop:
            drop.write('1')  # so that reading asks the daemon
        with open(path, 'rb', buffering=0) as file:
            for part in range(parts):
                self.assertEqual(file.read(MEBIBYTE), pattern(part, MEBIBYTE), part)
        peak = status_of(volume.pid)['VmHWM']
        print(f'peak of the daemon: {peak / MEBIBYTE:.0f} MiB', flush=True)
        if not SANITIZED:
            self.assertLess(peak, 256 * MEBIBYTE)
        volume.remount()
        with open(path, 'rb', buffering=0) as file:
            for part in range(parts):
                self.assertEqual(file.read(MEBIBYTE), pattern(part, MEBIBYTE), part)
        volume.unmount()
        volume.fsck()

    @unittest.skipIf(SANITIZED, 'another allocator')
    @unittest.skipUnless(os.path.exists('/sys/kernel/mm/transparent_hugepage'), 'the kernel has no huge pages')
    def test_huge_pages_are_asked_for(self):
        volume = self.volume('64M').mount()
        (volume.path / 'file').write_bytes(pattern(0, 8 * MEBIBYTE))
        held = 0
        for line in pathlib.Path(f'/proc/{volume.pid}/smaps').read_text(encoding='ascii', errors='replace').splitlines():
            words = line.split()
            if words[0] == 'Rss:':
                resident = int(words[1])
            elif words[0] == 'VmFlags:' and 'hg' in words:
                held += resident
        self.assertGreater(held, 8192)
        volume.unmount()


if __name__ == '__main__':
    main()
