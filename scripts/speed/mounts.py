"""Mounted file systems to be measured beside each other, and what they cost. Everything that is mounted, attached or
made is taken down again when the Bench ends, however it ends."""

import contextlib
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import select
import tempfile
import time

TRANSPORTS = {'rings': 'io_uring=on', 'fallback': 'io_uring=off'}
MIB = 1 << 20
# passthrough_ll keeps one for each file that it has seen.
DESCRIPTORS = 200_000


class Absent(Exception):
    """What cannot be measured here; the text says why."""


def run(*words, **more):
    words = [str(word) for word in words]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', check=False, **more)
    if done.returncode != 0:
        raise RuntimeError(f'{" ".join(words)} ended with {done.returncode}: {done.stdout[-2000:]}')
    return done.stdout


def need(program):
    found = shutil.which(program, path=os.environ['PATH'] + ':/sbin:/usr/sbin')
    if not found:
        raise Absent(f'{program} is not installed')
    return found


def cpu_ns(pid):
    """Processor time of all threads of a process, those of its rings included."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def raise_descriptors():
    """Of what is started from here. Where that is not allowed a program may fail for want of them, and is named."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= DESCRIPTORS:
        return
    enough = hard == resource.RLIM_INFINITY or hard >= DESCRIPTORS
    for limits in ((DESCRIPTORS, hard if enough else DESCRIPTORS), (hard, hard)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return


class Mounted:
    """A mounted file system. `pids`: the processes that serve it."""

    def __init__(self, name, path, pids=(), log=None):
        self.name = name
        self.path = pathlib.Path(path)
        self.pids = list(pids)
        self.log = log
        self.runs = 0

    def cpu_ns(self):
        return sum(cpu_ns(pid) for pid in self.pids)

    def next_run(self):
        self.runs += 1
        return self.runs


class Bench:
    """What there is for measuring, in a folder of its own; a context manager."""

    def __init__(self, binaries, folder=None):
        self.binaries = pathlib.Path(binaries).resolve()
        self.where = folder
        self.stack = contextlib.ExitStack()
        self.count = 0

    def __enter__(self):
        for end in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(end, lambda number, _: (_ for _ in ()).throw(KeyboardInterrupt()))
        raise_descriptors()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='scalefs-speed-', dir=self.where))
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(self, *what):
        for end in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(end, signal.SIG_IGN)  # it is on the way
        self.stack.close()

    @contextlib.contextmanager
    def part(self):
        """What is made within goes at its end."""
        outer, self.stack = self.stack, contextlib.ExitStack()
        try:
            with self.stack:
                yield self
        finally:
            self.stack = outer

    def program(self, name):
        path = self.binaries / name
        if not path.exists():
            raise Absent(f'{path} is not built')
        return path

    def place(self, name):
        self.count += 1
        path = self.folder / f'{self.count}-{name}'
        path.mkdir()
        return path

    def image(self, name, mib, full=True):
        """A file of the host's, every block of it written, so that the host has nothing left to allocate."""
        self.count += 1
        path = self.folder / f'{self.count}-{name}.img'
        self.stack.callback(path.unlink, missing_ok=True)
        block = os.urandom(MIB)
        with open(path, 'wb', buffering=0) as file:
            if full:
                for _ in range(mib):
                    file.write(block)
                os.fsync(file.fileno())
            else:
                file.truncate(mib * MIB)
        return path

    def unmount(self, path, process=None):
        if process is not None and not os.path.ismount(path):
            process.terminate()  # it may be about to mount
        for _ in range(50):
            if not os.path.ismount(path):
                break
            done = subprocess.run(['umount', str(path)], stderr=subprocess.DEVNULL, check=False)
            if done.returncode != 0:
                time.sleep(0.1)
        else:
            subprocess.run(['umount', '-l', str(path)], stderr=subprocess.DEVNULL, check=False)
        if process is not None:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def serve(self, name, words, path, notify=False, settle=10.0):
        """Starts a daemon in the foreground and waits until it has mounted `path`."""
        log = self.folder / f'{path.name}.log'
        environment = dict(os.environ)
        with contextlib.ExitStack() as here:
            if notify:
                address = self.folder / f'{path.name}.notify'
                waiting = here.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                waiting.bind(str(address))
                environment['NOTIFY_SOCKET'] = str(address)
            with open(log, 'ab') as to:
                process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=to,
                                           stderr=to, env=environment, start_new_session=True)
            self.stack.callback(self.unmount, path, process)
            until = time.monotonic() + settle
            while process.poll() is None and time.monotonic() < until:
                if notify and select.select([waiting], [], [], 0.02)[0]:
                    return Mounted(name, path, [process.pid], log)
                if not notify and os.path.ismount(path):
                    return Mounted(name, path, [process.pid], log)
                time.sleep(0.01)
        raise Absent(f'{name} did not mount: {log.read_text(errors="replace")[-500:]}')

    def scalefs(self, transport, mib=None):
        """In memory, or with `mib` on a full image."""
        path = self.place('scalefs')
        options = f'{TRANSPORTS[transport]},fsname=speed'
        words = [self.program('scalefs'), '-f', '-o', options]
        if mib is None:
            return self.serve('scalefs', words + ['--memory', path], path, notify=True)
        image = self.image('scalefs', mib)
        run(self.program('mkfs.scalefs'), '-q', '-f', '-K', image)
        return self.serve('scalefs', words + [image, path], path, notify=True)

    def null(self, transport):
        path = self.place('null')
        return self.serve('null', [self.program('scalefs-null'), '-o', TRANSPORTS[transport], path], path,
                          notify=True)

    def detach(self, image):
        for device in run('losetup', '-n', '-O', 'NAME', '-j', image).split():
            subprocess.run(['losetup', '-d', device], check=False)

    # What takes something back is noted before it is done: whoever is broken off in between does not know whether it was.
    def loop(self, image):
        self.stack.callback(self.detach, image)
        return run('losetup', '--direct-io=on', '--show', '-f', image).strip()

    def local(self, kind, mib):
        """ext4 or xfs on a loop device over a full image."""
        image = self.image(kind, mib)
        make = {'ext4': ('mkfs.ext4', '-q', '-F', '-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0'),
                'xfs': ('mkfs.xfs', '-q', '-f', '-K')}[kind]
        run(need(make[0]), *make[1:], image)
        device = self.loop(image)
        path = self.place(kind)
        self.stack.callback(self.unmount, path)
        run('mount', '-t', kind, device, path)
        return Mounted(kind, path)

    # --- the peers among the daemons
    def fuse2fs(self, mib):
        program = need('fuse2fs')
        image = self.image('fuse2fs', mib)
        run(need('mkfs.ext4'), '-q', '-F', '-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0', image)
        path = self.place('fuse2fs')
        return self.serve('fuse2fs', [program, '-f', '-o', 'fakeroot,allow_other', image, path], path)

    def ntfs_3g(self, mib):
        program = need('ntfs-3g')
        image = self.image('ntfs-3g', mib)
        run(need('mkntfs'), '-q', '-F', '-Q', image)
        path = self.place('ntfs-3g')
        return self.serve('ntfs-3g', [program, '-o', 'no_detach,big_writes', image, path], path)

    def bindfs(self, mib):
        program = need('bindfs')
        below = self.local('ext4', mib)
        path = self.place('bindfs')
        return self.serve('bindfs', [program, '-f', below.path, path], path)

    def passthrough_ll(self, mib):
        example = pathlib.Path('/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c')
        if not example.exists():
            raise Absent(f'{example}, of libfuse3-dev, is not there')
        flags = run('pkg-config', '--cflags', '--libs', 'fuse3').split()
        program = self.folder / 'passthrough_ll'
        run('cc', '-O2', '-o', program, example, *flags)
        below = self.local('ext4', mib)
        path = self.place('passthrough_ll')
        return self.serve('passthrough_ll', [program, '-f', '-o', f'source={below.path},cache=always,allow_other', path],
                          path)
