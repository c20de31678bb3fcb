"""writeback_cache: the kernel keeps what is written until close or fsync; from then on all is as promised."""

import errno
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import SCALEFS, MountTest, main, run  # noqa: E402

FIO = ['--rw=randrw', '--bsrange=512-64k', '--ioengine=psync', '--fsync=64', '--size=16m', '--numjobs=2', '--verify=crc32c', '--verify_fatal=1',
       '--verify_state_save=0', '--randseed=17', '--thread', '--group_reporting']


class WritebackCache(MountTest):
    def start(self, *options):
        return self.volume('256M').mount('writeback_cache', 'commit=3600', *options)

    @staticmethod
    def writes(volume):
        told = json.loads(run(SCALEFS, 'stat', '--json', volume.path).stdout)
        return told['requests'].get('write', {}).get('count', 0)

    def test_many_writes_are_few_requests(self):
        volume = self.start()
        with open(volume.path / 'file', 'wb', buffering=0) as file:
            for number in range(4000):
                file.write(f'{number:9}\n'.encode())
            before = self.writes(volume)
            os.fsync(file.fileno())
        self.assertLess(before, 40)
        self.assertLess(self.writes(volume), 80)
        volume.kill()
        volume.fsck()
        volume.mount(*volume.options)
        self.assertEqual((volume.path / 'file').read_text(encoding='ascii').split(), [str(number) for number in range(4000)])
        volume.unmount()

    def test_close_hands_it_over(self):
        """So that a rename behind it, and an fsync of something else, find it with the daemon."""
        volume = self.start()
        (volume.path / 'new').write_bytes(b'x' * 100_000)
        before = self.writes(volume)
        self.assertGreater(before, 0)
        os.rename(volume.path / 'new', volume.path / 'old')
        volume.fsync_root()
        volume.kill()
        volume.fsck()
        volume.mount(*volume.options)
        self.assertEqual((volume.path / 'old').read_bytes(), b'x' * 100_000)
        volume.unmount()

    def test_times_and_sizes_stay(self):
        volume = self.start()
        kept = {}
        for number in range(60):
            path = volume.path / f'f{number}'
            with open(path, 'wb', buffering=0) as file:
                for part in range(number % 7 + 1):
                    os.pwrite(file.fileno(), b'y' * 3000, part * 10_000)
                # The kernel tells no time that is still that of the creation, and the write comes when its clock has moved.
                time.sleep(0.006)
                if number % 3 == 0:
                    os.fsync(file.fileno())
                if number % 5 == 0:
                    os.ftruncate(file.fileno(), 777 * number)
            kept[path] = os.stat(path).st_mtime_ns, os.stat(path).st_size
        volume.remount()
        for path, before in kept.items():
            self.assertEqual((os.stat(path).st_mtime_ns, os.stat(path).st_size), before, path)
        volume.unmount()

    def test_all_of_a_file_is_data(self):
        """The kernel asks for holes without sending what it has kept: a copy by them would lose that."""
        volume = self.start()
        with open(volume.path / 'sparse', 'w+b', buffering=0) as file:
            os.pwrite(file.fileno(), b'end', 1_000_000)
            self.assertEqual(os.lseek(file.fileno(), 0, os.SEEK_DATA), 0)
            self.assertEqual(os.lseek(file.fileno(), 0, os.SEEK_HOLE), 1_000_003)
            with self.assertRaises(OSError) as caught:
                os.lseek(file.fileno(), 1_000_003, os.SEEK_DATA)
            self.assertEqual(caught.exception.errno, errno.ENXIO)
            run('cp', '--sparse=always', volume.path / 'sparse', volume.path / 'copy')
        self.assertEqual((volume.path / 'copy').read_bytes(), bytes(1_000_000) + b'end')
        volume.unmount()
        volume.fsck()

    def test_set_id_bits_go(self):
        volume = self.start('suid')
        path = volume.path / 'file'
        path.write_bytes(b'x')
        os.chmod(path, 0o6777)
        run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'sh', '-c', 'echo y >> "$0"', path)
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o777)
        os.chmod(path, 0o6777)
        os.chown(path, -1, -1)
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o777)
        self.assertEqual(path.read_bytes(), b'xy\n')
        volume.unmount()

    def test_a_full_volume_is_told_at_close(self):
        volume = self.volume('32M', 'small').mount('writeback_cache')
        fd = os.open(volume.path / 'large', os.O_CREAT | os.O_WRONLY)
        found = []
        for number in range(64):
            try:
                os.pwrite(fd, os.urandom(1 << 20), number << 20)
            except OSError as error:
                found.append(error.errno)
                break
        for call in (os.fsync, os.close):
            try:
                call(fd)
            except OSError as error:
                found.append(error.errno)
        self.assertIn(errno.ENOSPC, found)
        self.assertLessEqual(set(found), {errno.ENOSPC, errno.EIO})
        os.unlink(volume.path / 'large')
        (volume.path / 'small').write_bytes(b'there is room again')
        volume.remount()
        self.assertEqual((volume.path / 'small').read_bytes(), b'there is room again')
        volume.unmount()
        volume.fsck()

    def test_fio_verifies_behind_a_kill(self):
        volume = self.start('io_uring=off')
        words = ['fio', '--name=kept', f'--directory={volume.path}', *FIO]
        run(*words, '--do_verify=0', cwd=self.folder)
        run(*words, '--verify_only', cwd=self.folder)
        volume.sync()
        volume.kill()
        volume.fsck()
        volume.mount(*volume.options)
        run(*words, '--verify_only', cwd=self.folder)
        volume.unmount()
        volume.fsck()


if __name__ == '__main__':
    main()
