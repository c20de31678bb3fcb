"""Both ways of requests from the kernel: rings over io_uring, where the kernel offers them, and /dev/fuse. What calls do is
tested in test_calls, over each; here what only a transport can get wrong: calls that wait, many at a time, ends,
interrupts, processors that are not ours."""

import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

import mount  # noqa: E402

SWITCH = pathlib.Path('/sys/module/fuse/parameters/enable_uring')
RINGS = 'serving requests over io_uring'


def fsync_new_file(path):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    try:
        os.write(fd, b'x' * 5000)
        os.fsync(fd)
    finally:
        os.close(fd)


class Transport(mount.MountTest):
    limit = 120
    options = ()

    def start(self, *options, size='256M', memory=False):
        self.mounted = self.volume(size, memory=memory).mount(*self.options, *options)
        return self.mounted.path

    def messages(self):
        return self.mounted.log.read_text()


class Common:
    def test_many_calls_wait_at_a_time(self):
        """More synchronous writers than a queue has entries; others are served meanwhile."""
        top = self.start('q_depth=4')
        with concurrent.futures.ThreadPoolExecutor(48) as pool:
            jobs = [pool.submit(fsync_new_file, top / f'f{i}') for i in range(480)]
            while not all(job.done() for job in jobs):
                os.stat(top / 'f0') if (top / 'f0').exists() else None
                time.sleep(0.01)
            for job in jobs:
                job.result()
        self.assertEqual(len(os.listdir(top)), 480)
        self.mounted.check_everything_stays()

    def test_one_entry_a_queue_is_enough(self):
        top = self.start('q_depth=1')
        data = os.urandom(3 << 20)
        (top / 'big').write_bytes(data)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: fsync_new_file(top / f'f{i}'), range(64)))
        self.assertEqual((top / 'big').read_bytes(), data)
        self.mounted.check_everything_stays()

    def test_reads_that_wait_for_the_device(self):
        """Of a cold cache, from many threads."""
        top = self.start('cache_size=16M')
        data = [os.urandom(1 << 20) for _ in range(24)]
        for i, content in enumerate(data):
            (top / f'f{i}').write_bytes(content)
        self.mounted.remount()
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            found = list(pool.map(lambda i: (top / f'f{i}').read_bytes(), range(24)))
        self.assertEqual(found, data)

    def test_the_mount_ends_under_load(self):
        top = self.start()
        writer = subprocess.Popen(
            [sys.executable, '-c',
             'import os, sys, itertools\n'
             'top = os.open(sys.argv[1], os.O_RDONLY)\n'
             'for i in itertools.count():\n'
             '    fd = os.open(f"w{i % 50}", os.O_CREAT | os.O_WRONLY, dir_fd=top)\n'
             '    os.write(fd, b"y" * 10000)\n'
             '    os.fsync(fd)\n'
             '    os.close(fd)\n', str(top)], stderr=subprocess.DEVNULL)
        self.addCleanup(writer.kill)
        while not (top / 'w3').exists():
            self.assertIsNone(writer.poll())
            time.sleep(0.01)
        os.kill(self.mounted.pid, signal.SIGTERM)
        writer.wait(30)
        self.assertNotEqual(writer.returncode, 0)
        self.mounted.process.wait(30)
        self.assertFalse(os.path.ismount(top))

    def test_a_killed_daemon_leaves_nobody_waiting(self):
        top = self.start()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            jobs = [pool.submit(fsync_new_file, top / f'f{i}') for i in range(2000)]
            time.sleep(0.1)
            os.kill(self.mounted.pid, signal.SIGKILL)
            errors = [job.exception(30) for job in jobs]
        self.assertTrue(any(isinstance(error, OSError) for error in errors))

    def test_clients_can_be_killed_in_the_middle_of_calls(self):
        top = self.start()
        for _ in range(20):
            client = subprocess.Popen(['dd', 'if=/dev/zero', f'of={top}/d', 'bs=1M', 'count=500', 'conv=fsync'],
                                      stderr=subprocess.DEVNULL)
            time.sleep(0.03)
            client.kill()
            client.wait(20)
            os.stat(top / 'd') if (top / 'd').exists() else None
        self.mounted.check_everything_stays()

    def test_allow_root_refuses_others(self):
        """The kernel leaves that to the daemon, for the requests that it decodes itself too."""
        top = self.start('allow_root', memory=True)
        (top / 'a').mkdir(mode=0o755)
        (top / 'a').chmod(0o777)

        def as_other(*words, cwd='/'):
            return subprocess.run(words, user=65534, group=65534, extra_groups=[], capture_output=True, text=True, timeout=30, cwd=cwd)

        for words in (('stat', top / 'a' / 'none'), ('touch', top / 'a' / 'new')):
            done = as_other(*words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn('Permission denied', done.stderr)
        self.assertEqual(os.listdir(top / 'a'), [])
        # What the kernel knows already: name, content, and the lists of access, for which it asks when somebody comes who is not the
        # owner; those of the root it asks for each time, so the others are in a folder already. Most programs ask for attributes
        # too, which is refused; the shell opens a file, and reads or writes.
        known = top / 'a' / 'known'
        known.write_text('content\n')
        known.chmod(0o666)
        for path in (known, top / 'a'):
            os.chown(path, 61001, 61001)
        self.assertEqual(known.read_text(), 'content\n')
        for words in (('sh', '-c', 'read -r line < known && echo "$line"'), ('sh', '-c', 'echo changed 1<> known'),
                      ('cat', 'known'), ('ls', '.')):
            done = as_other(*words, cwd=top / 'a')
            self.assertNotEqual(done.returncode, 0, words)
            self.assertEqual(done.stdout, '')
            self.assertEqual(known.read_text(), 'content\n')
        self.mounted.unmount()
        self.mounted.mount(*self.options, 'allow_other')
        os.mkdir(top / 'a')
        os.chmod(top / 'a', 0o777)
        self.assertEqual(as_other('touch', top / 'a' / 'new').returncode, 0)
        self.assertEqual(os.listdir(top / 'a'), ['new'])

    def test_forgotten_objects_are_reclaimed(self):
        top = self.start(memory=True)
        free = os.statvfs(top).f_bfree
        for i in range(3000):
            (top / f'f{i}').write_bytes(b'z' * 4096)
        self.assertLess(os.statvfs(top).f_bfree, free - 2500)
        for i in range(3000):
            os.unlink(top / f'f{i}')
        # The kernel tells of what it forgets some time later.
        deadline = time.monotonic() + 60
        while os.statvfs(top).f_bfree < free - 100:
            self.assertLess(time.monotonic(), deadline, 'the pages of unlinked files are still there')
            time.sleep(0.1)
        self.assertEqual(os.listdir(top), [])


@unittest.skipUnless(SWITCH.exists() and SWITCH.read_text().strip() == 'Y',
                     'the kernel does not offer FUSE over io_uring')
class OverRings(Common, Transport):
    options = ('io_uring=on',)

    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: self.assertIn(RINGS, self.messages()))

    def test_each_processor_is_served(self):
        top = self.start(memory=True)
        for cpu in os.sched_getaffinity(0):
            done = subprocess.run(['taskset', '-c', str(cpu), 'sh', '-c', f'echo {cpu} > {top}/c{cpu}; cat {top}/c{cpu}'],
                                  capture_output=True, text=True, timeout=30)
            self.assertEqual(done.stdout, f'{cpu}\n')

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, 'there is one processor')
    def test_processors_that_are_not_the_daemons(self):
        first, *others = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {first})
        try:
            top = self.start(memory=True)
        finally:
            os.sched_setaffinity(0, {first, *others})
        done = subprocess.run(['taskset', '-c', str(others[0]), 'sh', '-c',
                               f'dd if=/dev/zero of={top}/a bs=1M count=20 2>/dev/null && stat -c %s {top}/a'],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout, f'{20 << 20}\n')


class OverDevFuse(Common, Transport):
    options = ('io_uring=off',)

    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: self.assertNotIn(RINGS, self.messages()))


# Once the process has /dev/fuse open it gets no thread any more.
NO_THREADS = r'''
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int has_fuse(void) {
  DIR* fds = opendir("/proc/self/fd");
  int found = 0;
  for (struct dirent* entry; fds != NULL && (entry = readdir(fds)) != NULL;) {
    char path[300], target[300];
    snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
    ssize_t length = readlink(path, target, sizeof target);
    found |= length == 9 && memcmp(target, "/dev/fuse", 9) == 0;
  }
  closedir(fds);
  return found;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  int (*real)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) = dlsym(RTLD_NEXT, "pthread_create");
  return has_fuse() ? EAGAIN : real(thread, attributes, start, argument);
}
'''


class WithoutThreads(Transport):
    def test_the_mount_is_taken_away(self):
        shim = self.folder / 'no_threads.so'
        source = self.folder / 'no_threads.c'
        source.write_text(NO_THREADS)
        mount.run('cc', '-shared', '-fPIC', '-o', shim, source, '-ldl')
        for i, option in enumerate(('io_uring=on', 'io_uring=off')):
            with self.subTest(option):
                volume = mount.Volume(self.folder, f'volume-{i}', '64M')
                self.volumes.append(volume)
                volume.environment = {'LD_PRELOAD': str(shim)}
                try:
                    volume.mount(option)
                except AssertionError:
                    pass
                else:
                    self.assertNotEqual(volume.process.wait(60), 0)
                    volume.gone(status=volume.process.returncode)
                self.assertFalse(mount.is_mounted(volume.path))
                self.assertIn('cannot be served: Resource temporarily unavailable', volume.messages())
                volume.environment = {}
                volume.mount(option)
                volume.unmount()


@unittest.skipUnless(SWITCH.exists() and os.access(SWITCH, os.W_OK), 'the switch cannot be changed')
class Fallback(Transport):
    def test_where_the_kernel_does_not_offer_rings(self):
        before = SWITCH.read_text()
        SWITCH.write_text('N')
        try:
            top = self.start('io_uring=on', memory=True)
        finally:
            SWITCH.write_text(before)
        (top / 'a').write_text('works')
        self.assertEqual((top / 'a').read_text(), 'works')
        self.assertIn('does not offer FUSE over io_uring', self.messages())


if __name__ == '__main__':
    mount.main()
