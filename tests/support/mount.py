"""What the tests over a real mount share: volumes in image files, mounting and unmounting them,
killing their daemon, checking them, and taking fingerprints of trees.

Needs /dev/fuse and root; main() ends with status 77 (a visible skip) without them, and where a test
was skipped. Programs are
taken from the folder SCALEFS_BIN_DIR.
"""

import contextlib
import ctypes
import faulthandler
import fcntl
import hashlib
import os
import pathlib
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BIN = pathlib.Path(os.environ.get('SCALEFS_BIN_DIR', 'build/dev')).resolve()
SOURCE = pathlib.Path(os.environ.get('SCALEFS_SOURCE_DIR', '.')).resolve()
SCALEFS = str(BIN / 'scalefs')
MKFS = str(BIN / 'mkfs.scalefs')
FSCK = str(BIN / 'fsck.scalefs')
# A sanitizer's build is slower and needs more memory.
SANITIZED = os.environ.get('SCALEFS_SANITIZED', '') != ''


LOOP_CTL_GET_FREE = 0x4C82


def has_loops():
    """Whether an image can be mounted over a loop device here."""
    with contextlib.suppress(OSError), open('/dev/loop-control', 'rb') as control:
        return fcntl.ioctl(control, LOOP_CTL_GET_FREE) >= 0
    return False


needs_loops = unittest.skipUnless(has_loops(), 'there is no loop device')


def run(*words, timeout=120, check=True, **more):
    """Runs a program; its output is in the error when it fails."""
    words = [str(word) for word in words]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace',
                          timeout=timeout, **more)
    if check and done.returncode != 0:
        raise AssertionError(f'{" ".join(words)} ended with {done.returncode}:\n'
                             f'{done.stdout[-4000:]}')
    return done


def status_of(pid):
    """The fields of /proc/PID/status that are counted in kB, in bytes."""
    fields = {}
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as lines:
        for line in lines:
            name, _, value = line.partition(':')
            if value.strip().endswith(' kB'):
                fields[name] = int(value.split()[0]) * 1024
    return fields


def is_mounted(path):
    path = str(path)
    with open('/proc/self/mountinfo', encoding='utf-8', errors='surrogateescape') as lines:
        return any(line.split()[4] == path for line in lines)


def wait_for_end(pid, timeout=60):
    """Waits for a process that need not be a child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([fd], [], [], timeout)
        if not ready:
            raise AssertionError(f'process {pid} did not end within {timeout} seconds')
    finally:
        os.close(fd)


class Volume:
    """An image (or a memory-only volume) and the place where it is mounted."""

    live = set()  # with a daemon, for the watchdog

    def __init__(self, folder, name='volume', size=None, memory=False):
        self.folder = pathlib.Path(folder)
        self.image = self.folder / f'{name}.img'
        self.path = self.folder / f'{name}.mnt'
        self.path.mkdir()
        self.memory = memory
        self.program = SCALEFS
        self.environment = {}
        self.log = self.folder / f'{name}.log'
        self.process = None  # the daemon, where it is a child
        self.pid = None
        self.options = []
        if size is not None:
            run(MKFS, '-q', self.image, size)

    def mount(self, *options):
        """Mounts; `options` are single -o options, remembered for remount(). The daemon runs in the foreground,
        so that its messages are at hand (self.log) when something goes wrong."""
        assert self.pid is None
        self.options = list(options)
        words = [self.program, '-f']
        if options:
            words += ['-o', ','.join(options)]
        words += ['--memory'] if self.memory else [str(self.image)]
        address = self.folder / f'{self.path.name}.notify'
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(self.log, 'ab') as log:
            notify.bind(str(address))
            self.process = subprocess.Popen(words + [str(self.path)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True,
                                            env={**os.environ, **self.environment,
                                                 'NOTIFY_SOCKET': str(address)})
            self.pid = self.process.pid
            fd = os.pidfd_open(self.pid)
            ready, _, _ = select.select([notify, fd], [], [], 60)
            os.close(fd)
            address.unlink()
            if notify not in ready:
                self.process.kill()
                self.process.wait()
                self.pid = self.process = None
                raise AssertionError(f'not mounted: {self.messages()}')
        Volume.live.add(self)
        return self

    def messages(self):
        return self.log.read_text(errors='replace')[-6000:] if self.log.exists() else ''

    def wait_for_message(self, text, seconds=30):
        """What was said up to then; some things are said behind the news that the mount is there."""
        until = time.monotonic() + seconds
        while text not in self.messages() and time.monotonic() < until:
            time.sleep(0.01)
        return self.messages()

    def find_daemon(self, name=None):
        """The daemon that was given this mount point, as `name` if not as the whole path; for those that
        were started in the background."""
        mine = os.fsencode(name or self.path)
        for entry in os.listdir('/proc'):
            if not entry.isdigit():
                continue
            try:
                words = pathlib.Path('/proc', entry, 'cmdline').read_bytes().split(b'\0')
                program = os.readlink(f'/proc/{entry}/exe')
            except OSError:
                continue
            if mine in words and program == os.path.realpath(SCALEFS):
                return int(entry)
        raise AssertionError(f'no daemon serves {self.path}')

    def unmount(self, timeout=120):
        """Unmounts and waits until the daemon has written everything."""
        run('umount', self.path)
        self.gone(timeout)

    def gone(self, timeout=120, status=0):
        """Waits for the end of the daemon, which must be of its own will."""
        wait_for_end(self.pid, timeout)
        Volume.live.discard(self)
        self.pid = None
        if self.process is not None:
            found = self.process.wait()
            self.process = None
            if found != status:
                raise AssertionError(f'the daemon ended with {found}: {self.messages()}')

    def kill(self):
        """Ends the daemon as a crash would; the image keeps what it had written."""
        os.kill(self.pid, signal.SIGKILL)
        self.gone(status=-signal.SIGKILL)
        run('umount', '-l', self.path)

    def terminate(self, how=signal.SIGTERM):
        os.kill(self.pid, how)
        self.gone()

    def remount(self):
        self.unmount()
        self.mount(*self.options)

    def sync(self):
        run(SCALEFS, 'sync', self.path)

    def fsync_root(self):
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def fsck(self):
        """The checker must find nothing and change nothing."""
        assert self.pid is None
        if not self.memory:
            run(FSCK, '-n', self.image, timeout=300)

    def check_everything_stays(self, part='', crash=True):
        """The content of `part` is the same after unmount and mount, and, behind an fsync of the root
        directory, after a kill; the checker is content each time. Ends mounted."""
        before = fingerprint(self.path / part)
        self.unmount()
        self.fsck()
        self.mount(*self.options)
        compare(before, fingerprint(self.path / part), 'after unmount and mount')
        if crash:
            # Something new, that only the journal has.
            mark = self.path / part / 'written-before-the-crash'
            mark.write_bytes(os.urandom(10000))
            self.fsync_root()
            before = fingerprint(self.path / part)
            self.kill()
            self.fsck()
            self.mount(*self.options)
            compare(before, fingerprint(self.path / part), 'after fsync of the root and a crash')
            mark.unlink()

    def discard(self):
        """Takes everything down, whatever state it is in. False when the daemon had ended by itself."""
        alive = True
        if self.process is not None:
            alive = self.process.poll() is None
            self.process.kill()
            self.process.wait()
            self.process = None
        elif self.pid is not None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                alive = False
            wait_for_end(self.pid)
        self.pid = None
        Volume.live.discard(self)
        if is_mounted(self.path):
            run('umount', '-l', self.path, check=False)
        return alive


def fingerprint(top):
    """All that can be seen of a tree, by relative path: type and mode, owner, links, size, times, target,
    extended attributes, and a hash of the content."""
    seen = {}
    top = os.fspath(top)

    def take(path, name):
        info = os.lstat(path)
        facts = {'mode': stat.filemode(info.st_mode), 'owner': (info.st_uid, info.st_gid),
                 'nlink': info.st_nlink, 'ino': info.st_ino, 'mtime': info.st_mtime_ns}
        if stat.S_ISREG(info.st_mode):
            facts['size'] = info.st_size
            digest = hashlib.blake2b()
            with open(path, 'rb', buffering=0) as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
            facts['content'] = digest.hexdigest()
        elif stat.S_ISLNK(info.st_mode):
            facts['target'] = os.readlink(path)
        elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            facts['device'] = info.st_rdev
        names = os.listxattr(path, follow_symlinks=False)
        if names:
            facts['xattrs'] = {n: os.getxattr(path, n, follow_symlinks=False) for n in names}
        seen[name] = facts
        if stat.S_ISDIR(info.st_mode):
            for child in sorted(os.listdir(path)):
                take(os.path.join(path, child), os.path.join(name, child))

    take(top, '.')
    return seen


def compare(expected, found, when):
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    changed = [(name, key, expected[name].get(key), found[name].get(key))
               for name in expected if name in found
               for key in {**expected[name], **found[name]}
               if expected[name].get(key) != found[name].get(key)]
    if missing or extra or changed:
        raise AssertionError(f'the tree differs {when}: missing {missing[:10]}, extra {extra[:10]}, '
                             f'changed {changed[:10]}')


def stacks(pid):
    """Where the threads of a daemon that hangs are, as far as the machine tells."""
    if shutil.which('gdb'):
        return run('gdb', '-p', pid, '-batch', '-ex', 'thread apply all bt 20', check=False,
                   timeout=60).stdout
    lines = []
    for task in sorted(os.listdir(f'/proc/{pid}/task')):
        for name in ('comm', 'wchan', 'syscall'):
            try:
                lines.append(pathlib.Path(f'/proc/{pid}/task/{task}/{name}').read_text().strip())
            except OSError:
                pass
    return '\n'.join(lines)


class MountTest(unittest.TestCase):
    """A folder for each test, and nothing left mounted after it. A test that takes longer than `limit`
    seconds has its daemons killed: whoever waits for them gets errors then."""

    limit = 200

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='scalefs-test-'))
        self.folder.chmod(0o755)  # for tests as another user
        self.volumes = []
        self.watchdog = threading.Timer(self.limit, self.bark)
        self.watchdog.daemon = True
        self.watchdog.start()
        self.addCleanup(self.clean)

    def volume(self, size='256M', name='volume', memory=False):
        volume = Volume(self.folder, name, None if memory else size, memory)
        self.volumes.append(volume)
        return volume

    def bark(self):
        print(f'{self.id()} takes longer than {self.limit} seconds: killing the daemons', flush=True)
        faulthandler.dump_traceback()
        for volume in list(Volume.live):
            print(stacks(volume.pid), flush=True)
            os.kill(volume.pid, signal.SIGKILL)

    def clean(self):
        self.watchdog.cancel()
        for volume in self.volumes:
            alive = volume.discard()
            if not alive or sys.exc_info()[0] is not None:
                print(f'messages of the daemon: {volume.messages()}', flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)


LIBC = ctypes.CDLL(None, use_errno=True)


def libc(name, *arguments):
    """Calls a function of the C library that Python does not offer; OSError when it answers -1."""
    result = getattr(LIBC, name)(*arguments)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result


def main():
    if os.geteuid() != 0 or not os.path.exists('/dev/fuse'):
        print('skipped: needs root and /dev/fuse')
        sys.exit(77)
    result = unittest.main(verbosity=2, failfast=False, exit=False).result
    # What could not be tested here is to be seen outside too.
    sys.exit(1 if not result.wasSuccessful() else 77 if result.skipped else 0)
