"""Locks: flock, fcntl of processes and of open files, between descriptors and between processes."""

import errno
import fcntl
import os
import signal
import struct
import subprocess
import sys
import time

from group import Group, main

F_OFD_SETLK, F_OFD_GETLK, F_RDLCK, F_WRLCK, F_UNLCK = 37, 36, 0, 1, 2
LOCK = struct.Struct('hhqqi4x')
OTHER = '''
import fcntl, os, struct, sys
lock = struct.Struct('hhqqi4x')
fd = os.open(sys.argv[1], os.O_RDWR)
for line in sys.stdin:
    what, *words = line.split()
    try:
        if what == 'flock':
            fcntl.flock(fd, int(words[0]))
            print('0', flush=True)
        elif what == 'get':
            kind, start, length = map(int, words)
            answer = lock.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, lock.pack(kind, 0, start, length, 0)))
            print(*answer, flush=True)
        else:
            kind, start, length = map(int, words)
            fcntl.fcntl(fd, fcntl.F_SETLKW if what == 'wait' else fcntl.F_SETLK, lock.pack(kind, 0, start, length, 0))
            print('0', flush=True)
    except OSError as error:
        print(error.errno, flush=True)
'''


class Process:
    """Another process that has the file open, and locks when told."""

    def __init__(self, path):
        self.process = subprocess.Popen([sys.executable, '-c', OTHER, path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def send(self, *words):
        self.process.stdin.write(' '.join(map(str, words)) + '\n')
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().strip()

    def ask(self, *words):
        self.send(*words)
        return self.answer()

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Locks(Group):
    def setUp(self):
        super().setUp()
        self.path = self.top / 'f'
        self.path.write_bytes(b'x' * 1000)

    def open(self, flags=os.O_RDWR, path=None):
        fd = os.open(path or self.path, flags)
        self.addCleanup(os.close, fd)
        return fd

    def other(self):
        process = Process(self.path)
        self.addCleanup(process.end)
        return process

    def set(self, fd, kind, start=0, length=0, command=fcntl.F_SETLK):
        fcntl.fcntl(fd, command, LOCK.pack(kind, 0, start, length, 0))

    def get(self, fd, kind, start=0, length=0, command=fcntl.F_GETLK):
        return LOCK.unpack(fcntl.fcntl(fd, command, LOCK.pack(kind, 0, start, length, 0)))

    def test_flock_between_descriptors(self):
        # A row a pair: what one holds, what another asks for without waiting, the answer.
        for held, asked, expected in ((fcntl.LOCK_SH, fcntl.LOCK_SH, 0), (fcntl.LOCK_SH, fcntl.LOCK_EX, errno.EAGAIN),
                                      (fcntl.LOCK_EX, fcntl.LOCK_SH, errno.EAGAIN), (fcntl.LOCK_EX, fcntl.LOCK_EX, errno.EAGAIN),
                                      (fcntl.LOCK_UN, fcntl.LOCK_EX, 0)):
            for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
                first, second = os.open(self.path, flags), os.open(self.path, flags)
                fcntl.flock(first, held)
                if expected:
                    self.check_errno(expected, fcntl.flock, second, asked | fcntl.LOCK_NB)
                    fcntl.flock(first, fcntl.LOCK_UN)
                fcntl.flock(second, asked | fcntl.LOCK_NB)
                self.check(True, True)
                os.close(first)
                os.close(second)

    def test_flock_belongs_to_the_open_file(self):
        first, other = self.open(), self.open()
        copy = os.dup(first)
        fcntl.flock(first, fcntl.LOCK_EX)
        fcntl.flock(copy, fcntl.LOCK_EX)
        os.close(copy)
        self.check_errno(errno.EAGAIN, fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(first, fcntl.LOCK_SH)  # converted
        fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        self.check_errno(errno.EAGAIN, fcntl.flock, first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = self.open(os.O_RDONLY, self.top)
        fcntl.flock(folder, fcntl.LOCK_EX)
        self.check_errno(errno.EAGAIN, fcntl.flock, self.open(os.O_RDONLY, self.top), fcntl.LOCK_SH | fcntl.LOCK_NB)

    def test_flock_through_two_names(self):
        os.link(self.path, self.top / 'g')
        first, second = self.open(), self.open(path=self.top / 'g')
        fcntl.flock(first, fcntl.LOCK_EX)
        self.check_errno(errno.EAGAIN, fcntl.flock, second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(self.path, self.top / 'h')
        self.check_errno(errno.EAGAIN, fcntl.flock, self.open(path=self.top / 'h'), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_flock_ends_with_the_process(self):
        other = self.other()
        self.check(other.ask('flock', fcntl.LOCK_EX), '0')
        fd = self.open()
        self.check_errno(errno.EAGAIN, fcntl.flock, fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.kill(other.process.pid, signal.SIGKILL)
        other.process.wait()
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.check(True, True)

    def test_ranges_between_processes(self):
        # What this process holds; what another asks for; whether it may.
        other = self.other()
        fd = self.open()
        for held, asked, may in (((F_WRLCK, 10, 10), (F_WRLCK, 10, 10), False), ((F_WRLCK, 10, 10), (F_RDLCK, 19, 1), False),
                                 ((F_WRLCK, 10, 10), (F_WRLCK, 20, 10), True), ((F_WRLCK, 10, 10), (F_WRLCK, 0, 10), True),
                                 ((F_WRLCK, 10, 10), (F_WRLCK, 0, 11), False), ((F_WRLCK, 10, 0), (F_WRLCK, 1 << 40, 1), False),
                                 ((F_RDLCK, 10, 10), (F_RDLCK, 10, 10), True), ((F_RDLCK, 10, 10), (F_WRLCK, 10, 10), False),
                                 ((F_WRLCK, 5000, 10), (F_WRLCK, 5009, 0), False), ((F_WRLCK, 5000, 10), (F_WRLCK, 5010, 0), True),
                                 ((F_WRLCK, (1 << 62), 1), (F_WRLCK, (1 << 62), 1), False)):
            self.set(fd, *held)
            self.check(other.ask('set', *asked), '0' if may else str(errno.EAGAIN), (held, asked))
            kind, _, start, length, pid = map(int, other.ask('get', *asked).split())
            if may:
                self.check(kind, F_UNLCK, (held, asked))
            else:
                self.check((kind, start, length, pid), (*held, os.getpid()), (held, asked))
            other.ask('set', F_UNLCK, 0, 0)
            self.set(fd, F_UNLCK)

    def test_ranges_are_split_and_joined(self):
        other = self.other()
        fd = self.open()
        self.set(fd, F_WRLCK, 0, 100)
        self.set(fd, F_UNLCK, 40, 20)
        self.check(other.ask('set', F_WRLCK, 40, 20), '0')
        self.check(other.ask('set', F_WRLCK, 39, 1), str(errno.EAGAIN))
        self.check(other.ask('set', F_WRLCK, 60, 1), str(errno.EAGAIN))
        other.ask('set', F_UNLCK, 0, 0)
        self.set(fd, F_RDLCK, 30, 40)
        self.check(other.ask('set', F_RDLCK, 30, 40), '0')
        self.check(other.ask('set', F_RDLCK, 29, 1), str(errno.EAGAIN))

    def test_locks_of_a_process_go_with_any_close_of_the_file(self):
        other = self.other()
        first = self.open()
        self.set(first, F_WRLCK)
        self.check(other.ask('set', F_WRLCK, 0, 1), str(errno.EAGAIN))
        os.close(os.open(self.path, os.O_RDONLY))
        self.check(other.ask('set', F_WRLCK, 0, 1), '0')

    def test_a_lock_that_is_waited_for(self):
        other = self.other()
        fd = self.open()
        self.set(fd, F_WRLCK, 0, 10)
        other.send('wait', F_WRLCK, 5, 1)
        self.set(fd, F_UNLCK, 0, 10)
        self.check(other.answer(), '0')
        self.check_errno(errno.EAGAIN, self.set, fd, F_WRLCK, 5, 1)

    def waits(self, pid):
        with open('/proc/locks', encoding='ascii') as lines:
            return any(line.split()[1] == '->' and line.split()[5] == str(pid) for line in lines)

    def test_a_deadlock_is_told(self):
        other = self.other()
        fd = self.open()
        self.set(fd, F_WRLCK, 0, 1)
        self.check(other.ask('set', F_WRLCK, 1, 1), '0')
        other.send('wait', F_WRLCK, 0, 1)
        deadline = time.monotonic() + 20
        while not self.waits(other.process.pid):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.001)
        signal.setitimer(signal.ITIMER_REAL, 20)  # ends the test if nobody is told
        try:
            self.check_errno(errno.EDEADLK, self.set, fd, F_WRLCK, 1, 1, fcntl.F_SETLKW)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.set(fd, F_UNLCK)
        self.check(other.answer(), '0')

    def test_locks_of_open_files(self):
        first, second = self.open(), self.open()
        self.set(first, F_WRLCK, 0, 10, F_OFD_SETLK)
        self.check_errno(errno.EAGAIN, self.set, second, F_WRLCK, 9, 1, F_OFD_SETLK)
        self.set(second, F_WRLCK, 10, 1, F_OFD_SETLK)
        kind, _, start, length, pid = self.get(second, F_WRLCK, 0, 1, F_OFD_GETLK)
        self.check((kind, start, length, pid), (F_WRLCK, 0, 10, -1))
        self.check_errno(errno.EAGAIN, self.set, self.open(), F_RDLCK, 0, 1)
        os.close(os.open(self.path, os.O_RDONLY))
        self.check_errno(errno.EAGAIN, self.set, second, F_WRLCK, 0, 1, F_OFD_SETLK)
        self.set(first, F_UNLCK, 0, 0, F_OFD_SETLK)
        self.set(second, F_WRLCK, 0, 1, F_OFD_SETLK)

    def test_what_is_no_lock(self):
        reading, writing = self.open(os.O_RDONLY), self.open(os.O_WRONLY)
        self.check_errno(errno.EBADF, self.set, reading, F_WRLCK, 0, 1)
        self.check_errno(errno.EBADF, self.set, writing, F_RDLCK, 0, 1)
        self.check_errno(errno.EINVAL, self.set, writing, 9, 0, 1)
        self.check_errno(errno.EINVAL, self.set, writing, F_WRLCK, -1, 1)
        self.check_errno(errno.EINVAL, self.set, writing, F_WRLCK, 10, -11)
        self.set(writing, F_WRLCK, 10, -5)
        path = os.open(self.path, os.O_PATH)
        self.check_errno(errno.EBADF, fcntl.flock, path, fcntl.LOCK_EX)
        os.close(path)

    def test_flock_and_fcntl_do_not_meet(self):
        other = self.other()
        fd = self.open()
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.check(other.ask('set', F_WRLCK, 0, 0), '0')

    def test_locks_say_nothing_about_data(self):
        other = self.other()
        other.ask('set', F_WRLCK, 0, 0)
        other.ask('flock', fcntl.LOCK_EX)
        fd = self.open()
        self.check(os.pwrite(fd, b'y', 0), 1)
        self.check(os.pread(fd, 2, 0), b'yx')
        os.ftruncate(fd, 5)
        os.unlink(self.path)
        self.check(os.fstat(fd).st_nlink, 0)


if __name__ == '__main__':
    main(Locks)
