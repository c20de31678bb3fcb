"""Stressors of others: fio, whose data must verify behind a remount and behind a kill, and all of stress-ng that has to do with files.

  SCALEFS_STRESS_SECONDS=n   each stressor of stress-ng runs so long, instead of some calls
  SCALEFS_FIO_SCALE=n        so many times the data of fio
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import MountTest, main, run  # noqa: E402

SECONDS = int(os.environ.get('SCALEFS_STRESS_SECONDS', 0))
SCALE = int(os.environ.get('SCALEFS_FIO_SCALE', 1))

# The class `filesystem` of stress-ng 0.15 but for those that do not use the folder that they are given: bind-mount, binderfs,
# dup, eventfd, ioprio, procfs. Then those of other classes that read and write files there.
STRESSORS = '''access chattr chdir chmod chown copy-file dentry dir dirdeep dirmany dnotify fallocate fanotify fcntl fiemap file-ioctl
    filename flock fpunch fsize fstat getdent handle hdd inode-flags inotify io iomix lease link locka lockf lockofd mknod open rename
    symlink sync-file touch utime verity xattr
    aio aiol msync readahead revio seek sendfile splice'''.split()
WORKERS = 2
# Their workers share a folder that the first to be through removes: bounded by operations, it may be gone before the other has begun.
SHARING = ('chattr', 'chmod', 'chown', 'fcntl')

# name, what it does, size of each of the two files in MiB
FIO = (('buffered', ['--rw=randrw', '--bsrange=512-64k', '--ioengine=io_uring', '--iodepth=16', '--fsync=64'], 16),
       ('direct', ['--rw=randrw', '--bsrange=4k-128k', '--ioengine=libaio', '--iodepth=8', '--direct=1', '--fdatasync=64'], 24),
       ('allocated', ['--rw=randwrite', '--bs=16k', '--fallocate=posix', '--ioengine=psync', '--sync=dsync', '--io_size=4m'], 16),
       ('written', ['--rw=write', '--bsrange=512-20k', '--fallocate=none', '--ioengine=sync'], 8),
       ('sparse', ['--rw=randwrite', '--bs=4k', '--fallocate=truncate', '--ioengine=psync', '--number_ios=1500'], 512))


class Stressors(MountTest):
    limit = 200 + len(STRESSORS) * SECONDS + 60 * SCALE

    def fio(self, volume, name, what, size, verify=False):
        more = ['--verify_only'] if verify else ['--do_verify=0']
        run('fio', f'--name={name}', f'--directory={volume.path}', f'--size={size * SCALE}m', '--numjobs=2', '--verify=crc32c', '--verify_fatal=1',
            '--verify_state_save=0', '--randseed=17', '--thread', '--group_reporting', *what, *more, cwd=self.folder, timeout=100 + 60 * SCALE)

    def test_fio_verifies_behind_mounts_and_kills(self):
        for options in (('io_uring=off', 'cache_size=32M'), ('strict_open',)):
            volume = self.volume(f'{512 * SCALE}M', options[0]).mount(*options)
            for job in FIO:
                self.fio(volume, *job)
                self.fio(volume, *job, verify=True)
            volume.remount()
            for job in FIO:
                self.fio(volume, *job, verify=True)
            volume.fsync_root()
            volume.kill()
            volume.fsck()
            volume.mount(*options)
            for job in FIO:
                self.fio(volume, *job, verify=True)
            volume.unmount()
            volume.fsck()

    def test_fio_finds_a_wrong_byte(self):
        volume = self.volume(memory=True).mount()
        job = ('wrong', ['--rw=write', '--bs=4k'], 1)
        self.fio(volume, *job)
        self.fio(volume, *job, verify=True)
        with open(volume.path / 'wrong.1.0', 'r+b') as file:
            file.seek(100_000)
            byte = file.read(1)
            file.seek(100_000)
            file.write(bytes([byte[0] ^ 1]))
        with self.assertRaisesRegex(AssertionError, 'verif'):
            self.fio(volume, *job, verify=True)

    def test_stress_ng(self):
        for memory, options in ((True, ()), (False, ('io_uring=off', 'strict_open', 'commit=1'))):
            volume = self.volume('1G', 'memory' if memory else 'image', memory).mount('dev', 'suid', *options)
            folder = volume.path / 'stress'
            folder.mkdir()
            for stressor in STRESSORS:
                # What counts as an operation is up to the stressor, and may be much.
                bound = [f'--timeout={SECONDS or 1}']
                if not SECONDS and stressor not in SHARING:
                    bound.append(f'--{stressor}-ops=10')
                run('stress-ng', '--temp-path', folder, '--verify', f'--{stressor}', WORKERS, *bound, '--hdd-bytes=4m', '--iomix-bytes=4m',
                    '--fallocate-bytes=4m', '--readahead-bytes=4m', '--revio-bytes=4m', '--seek-size=4m',
                    '--sync-file-bytes=4m', '--msync-bytes=4m',
                    timeout=100 + SECONDS)
                # What they leave when they are through would be theirs to explain; nothing is.
                self.assertEqual(os.listdir(folder), [], stressor)
            if not memory:
                volume.check_everything_stays()
            volume.unmount()
            volume.fsck()


if __name__ == '__main__':
    main()
