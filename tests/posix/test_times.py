"""Times: what sets them exactly, which call moves which, and what reads do under each way of mounting."""

import os
import shutil
import unittest

from group import Group, main
import mount

# The daemon's clock is ahead by the seconds that the file holds which the environment names.
LATER = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec* to) {
  int status = ((int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime"))(clock, to);
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return status;
  char text[32] = "";
  int file = open(getenv("LATER"), O_RDONLY | O_CLOEXEC);
  if (file < 0) return status;
  if (read(file, text, sizeof(text) - 1) > 0) to->tv_sec += atoll(text);
  close(file);
  return status;
}
'''
DAY = 24 * 3600


class Times(Group):
    tables = ('utimens', 'changes')

    def test_reads_under_relatime(self):
        self.run_table('atime_relatime')

    @unittest.skipUnless(shutil.which('cc'), 'there is no C compiler')
    def test_reads_under_relatime_a_day_later(self):
        """An access time that is later than the other times moves when it is a day old."""
        if self.kind != 'scalefs':
            self.skipTest('only the clock of a daemon can be moved')
        holder = mount.MountTest()
        holder.setUp()
        processors = os.sched_getaffinity(0)
        # Each processor has an access time of its own for a while, and may move it once.
        os.sched_setaffinity(0, {min(processors)})
        try:
            source, library, later = (holder.folder / name for name in ('later.c', 'later.so', 'later'))
            source.write_text(LATER)
            mount.run('cc', '-shared', '-fPIC', '-o', library, source, '-ldl')
            for option, again in (('relatime', False), ('strictatime', True), ('noatime', False)):
                volume = holder.volume(name=option, memory=True)
                volume.environment = {'LD_PRELOAD': str(library), 'LATER': str(later),
                                      'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'}
                later.write_text('0')
                path = volume.mount(option).path / 'f'
                path.write_bytes(b'x' * 100)
                born, made = os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns

                def read():
                    """The access time behind a read that the kernel has to ask for."""
                    fd = os.open(path, os.O_RDONLY)
                    try:
                        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                        self.check(os.read(fd, 100), b'x' * 100)
                    finally:
                        os.close(fd)
                    return os.stat(path).st_atime_ns

                later.write_text('100')
                first = read()
                if option == 'noatime':
                    self.check(first, born)
                else:
                    self.check_true(first >= made + 99 * 10**9, 'a read behind the change counts')
                later.write_text(str(DAY))  # not yet a day behind the read, which was 100 seconds ahead
                second = read()
                self.check(second != first, again, f'{option}: within a day')
                later.write_text(str(2 * DAY + 1000))
                third = read()
                self.check(third - second > DAY * 10**9 if option != 'noatime' else third == born, True, f'{option}: a day later')
                self.check(os.stat(path).st_mtime_ns, made)
                volume.unmount()
        finally:
            os.sched_setaffinity(0, processors)
            holder.doCleanups()

    def test_reads_under_strictatime(self):
        with self.mounted_with('strictatime'):
            self.run_table('atime_strict')

    def test_reads_under_nodiratime(self):
        with self.mounted_with('relatime', 'nodiratime'):
            self.run_table('atime_nodir')

    def test_reads_under_noatime(self):
        with self.mounted_with('noatime'):
            self.run_table('atime_none')


if __name__ == '__main__':
    main(Times)
