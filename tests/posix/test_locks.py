"""Locks: flock, fcntl of processes and of open files, between descriptors and between processes; leases."""

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
# Opens or truncates, and says so; who is told `nonblock` does not wait.
OPENER = '''
import os, sys
what, path = sys.argv[1:]
flags = {'read': os.O_RDONLY, 'write': os.O_WRONLY, 'path': os.O_PATH}
try:
    if what == 'truncate':
        os.truncate(path, 1)
    else:
        how, _, more = what.partition(',')
        os.open(path, flags[how] | (os.O_NONBLOCK if more == 'nonblock' else 0))
    print(0)
except OSError as error:
    print(error.errno)
'''
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

    def lease(self, fd, kind):
        fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)

    def opener(self, what):
        process = subprocess.Popen([sys.executable, '-c', OPENER, what, self.path], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def answer_of(self, process):
        return int(process.communicate(timeout=60)[0])

    def test_a_lease_is_told_and_given_back(self):
        reading = self.open(os.O_RDONLY)
        self.check(fcntl.fcntl(reading, fcntl.F_GETLEASE), F_UNLCK)
        for kind in (F_RDLCK, F_WRLCK, F_RDLCK, F_UNLCK):
            self.lease(reading, kind)
            self.check(fcntl.fcntl(reading, fcntl.F_GETLEASE), kind)

    def test_who_gets_a_lease(self):
        # What is open, the lease that is asked for of the first, the answer.
        for open_as, kind, expected in (((os.O_RDONLY,), F_RDLCK, 0), ((os.O_RDONLY,), F_WRLCK, 0), ((os.O_RDWR,), F_WRLCK, 0),
                                        ((os.O_WRONLY,), F_WRLCK, 0), ((os.O_RDWR,), F_RDLCK, errno.EAGAIN),
                                        ((os.O_RDONLY, os.O_RDONLY), F_RDLCK, 0),
                                        ((os.O_RDONLY, os.O_RDONLY), F_WRLCK, errno.EAGAIN),
                                        ((os.O_RDONLY, os.O_RDWR), F_RDLCK, errno.EAGAIN),
                                        ((os.O_RDONLY,), 9, errno.EINVAL)):
            fds = [os.open(self.path, flags) for flags in open_as]
            try:
                self.lease(fds[0], kind)
                found = 0
            except OSError as error:
                found = error.errno
            self.check(found, expected, f'{open_as} {kind}')
            for fd in fds:
                os.close(fd)
        os.mkdir(self.top / 'd')
        self.check_errno(errno.EINVAL, self.lease, self.open(os.O_RDONLY, self.top / 'd'), F_RDLCK)
        os.mkfifo(self.top / 'p')
        self.check_errno(errno.EINVAL, self.lease, self.open(os.O_RDWR, self.top / 'p'), F_WRLCK)
        fd = self.open(os.O_RDONLY)
        os.seteuid(61001)
        try:
            self.check_errno(errno.EACCES, self.lease, fd, F_RDLCK)
            os.seteuid(0)
            os.chown(self.path, 61001, 61001)
            os.seteuid(61001)
            self.lease(fd, F_RDLCK)
        finally:
            os.seteuid(0)

    def test_a_lease_is_asked_back(self):
        told = []
        before = signal.signal(signal.SIGIO, lambda *_: told.append(1))
        self.addCleanup(signal.signal, signal.SIGIO, before)
        # The lease, who comes, whether it is in its way, and what remains behind it if the holder gives up no more than it must.
        for kind, comes, breaks, remains in ((F_RDLCK, 'read', False, F_RDLCK), (F_RDLCK, 'path', False, F_RDLCK),
                                             (F_RDLCK, 'write', True, F_UNLCK), (F_RDLCK, 'truncate', True, F_UNLCK),
                                             (F_WRLCK, 'read', True, F_RDLCK), (F_WRLCK, 'write', True, F_UNLCK),
                                             (F_WRLCK, 'truncate', True, F_UNLCK), (F_WRLCK, 'path', False, F_WRLCK)):
            what = f'{kind} {comes}'
            fd = os.open(self.path, os.O_RDONLY)
            self.lease(fd, kind)
            told.clear()
            process = self.opener(comes)
            if breaks:
                deadline = time.monotonic() + 60
                while not told and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.check(len(told), 1, what)
                self.check(process.poll(), None, what)
                self.check(fcntl.fcntl(fd, fcntl.F_GETLEASE), remains, what)  # what it is to become
                self.lease(fd, remains)
            self.check(self.answer_of(process), 0, what)
            self.check(fcntl.fcntl(fd, fcntl.F_GETLEASE), remains, what)
            self.check(bool(told), breaks, what)
            os.close(fd)

    def test_who_does_not_wait_for_a_lease(self):
        self.addCleanup(signal.signal, signal.SIGIO, signal.signal(signal.SIGIO, signal.SIG_IGN))
        fd = self.open(os.O_RDONLY)
        self.lease(fd, F_WRLCK)
        self.check(self.answer_of(self.opener('read,nonblock')), errno.EAGAIN)
        self.lease(fd, F_RDLCK)
        self.check(self.answer_of(self.opener('write,nonblock')), errno.EAGAIN)
        self.check(self.answer_of(self.opener('read,nonblock')), 0)
        self.lease(fd, F_UNLCK)
        self.check(self.answer_of(self.opener('write,nonblock')), 0)

    def test_a_lease_ends_with_its_open_file(self):
        self.addCleanup(signal.signal, signal.SIGIO, signal.signal(signal.SIGIO, signal.SIG_IGN))
        fd = os.open(self.path, os.O_RDONLY)
        self.lease(fd, F_WRLCK)
        twin = os.dup(fd)
        self.check(fcntl.fcntl(twin, fcntl.F_GETLEASE), F_WRLCK)
        process = self.opener('write')
        os.close(fd)
        os.close(twin)
        self.check(self.answer_of(process), 0)

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
