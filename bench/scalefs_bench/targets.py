"""What a run measures: the engine in the worker's process, directories, mounts of scalefs, of scalefs-null and of its peers.

A target is ready for one repetition at a time: ready() is a context manager that gives a Place, with a file system made
anew where the target makes one. All that need an image share one file, so that all have the same disk.
"""
import contextlib
import difflib
import os
import select
import signal
import socket
import subprocess
import time

from . import env, workplace
from .programs import Absent, Failed, call

TRANSPORTS = {"io_uring": "io_uring=on", "dev_fuse": "io_uring=off"}
_MIB = 1 << 20
_MOUNT_SECONDS = 20


class Place:
    """Where a worker works. `settings`: what it is told; `folder`: in the mount, or None."""

    def __init__(self, settings, folder=None, servers=(), mountpoint=None):
        self.settings = list(settings) + [f"server={pid}" for pid in servers]
        self.folder = folder
        self.mountpoint = mountpoint or folder


class Disk:
    """The image that all targets use in turn, every block of it written, so that its host has nothing left to allocate."""

    def __init__(self, work, root, size):
        self.work, self.root, self.size = work, root, size
        self._path = None

    def path(self):
        if self._path is None:
            path = os.path.join(self.root, "disk.img")
            block = bytes(_MIB)
            with open(path, "wb", buffering=0) as file:
                for _ in range(self.size // _MIB):
                    file.write(block)
                os.fsync(file.fileno())
            self._path = path
        return self._path

    def mountpoint(self, name="mount"):
        path = os.path.join(self.root, name)
        os.makedirs(path, exist_ok=True)
        return path

    @contextlib.contextmanager
    def loop(self):
        device = call("losetup", "--direct-io=on", "--show", "-f", self.path())
        try:
            yield device
        finally:
            subprocess.run(["losetup", "-d", device], stderr=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def _mounted(point, *words):
    call(*words, point)
    try:
        yield point
    finally:
        workplace.unmount(point)


@contextlib.contextmanager
def _served(disk, name, words, point, notify=False):
    """A daemon in the foreground, until it is unmounted; its number."""
    log = os.path.join(disk.root, "daemon.log")
    with contextlib.ExitStack() as stack:
        environment, waiting = dict(os.environ), None
        if notify:
            address = os.path.join(disk.root, "notify")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address)
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            waiting.bind(address)
            environment["NOTIFY_SOCKET"] = address
        with open(log, "wb") as to:
            process = subprocess.Popen(  # pylint: disable=consider-using-with
                [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=to, stderr=to, env=environment,
                start_new_session=True, preexec_fn=workplace.end_with_parent)
        disk.work.child(process.pid)
        stack.callback(_end, point, process)
        until = time.monotonic() + _MOUNT_SECONDS
        while not (select.select([waiting], [], [], 0.01)[0] if notify else os.path.ismount(point)):
            if process.poll() is not None or time.monotonic() > until:
                with open(log, encoding="utf-8", errors="replace") as file:
                    raise Failed(f"{name} did not mount: {file.read()[-500:].strip()}")
            time.sleep(0.005)
        yield process.pid


def _end(point, process):
    workplace.unmount(point)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Target:
    """`name`: the word in the results. check() raises Absent where the target cannot be used here."""

    transport = None
    stores = True   # scalefs-null does not
    in_process = False
    uses_loop = False
    uses_disk = False

    def __init__(self, name):
        self.name = name

    def check(self, programs, work):
        """Whether all is there that is needed."""

    @contextlib.contextmanager
    def ready(self, programs, disk):
        raise NotImplementedError

    @staticmethod
    @contextlib.contextmanager
    def _folder(mountpoint, servers=()):
        folder = os.path.join(mountpoint, "bench")
        os.mkdir(folder)
        yield Place(["target=dir", f"path={folder}"], folder, servers, mountpoint)


class Engine(Target):
    in_process = True

    def __init__(self, name):
        super().__init__(name)
        self._image = name.endswith(":image")
        self.uses_disk = self._image

    def check(self, programs, work):
        if self._image:
            programs.own("mkfs.scalefs")

    @contextlib.contextmanager
    def ready(self, programs, disk):
        if not self._image:
            yield Place(["target=memory"])
            return
        call(programs.own("mkfs.scalefs"), "-q", "-f", disk.path())
        yield Place(["target=image", f"path={disk.path()}"])


class Directory(Target):
    """A folder that is there. Each repetition makes one of its own in it."""

    def __init__(self, name, path):
        super().__init__(name)
        self.path = os.path.abspath(path)
        self._work = None

    def check(self, programs, work):
        self._work = work
        try:
            work.drop(work.root(self.path))
        except OSError as error:
            raise Absent(f"nothing can be made in {self.path}: {error.strerror}") from error

    @contextlib.contextmanager
    def ready(self, programs, disk):
        try:
            root = self._work.root(self.path)
        except OSError as error:
            raise Failed(f"nothing can be made in {self.path}: {error.strerror}") from error
        try:
            yield Place(["target=dir", f"path={root}"], root)
        finally:
            self._work.drop(root)


def _need_fuse():
    if not os.path.exists("/dev/fuse"):
        raise Absent("there is no /dev/fuse; modprobe fuse makes it")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Absent("this user may not open /dev/fuse")


def _need_rings(transport):
    try:
        with open("/sys/module/fuse/parameters/enable_uring", encoding="utf-8") as file:
            offered = file.read().strip() in ("Y", "1")
    except OSError:
        offered = False
    if transport == "io_uring" and not offered:
        raise Absent("the kernel does not offer FUSE over io_uring (Linux 6.14; then echo Y >/sys/module/fuse/parameters/enable_uring)")


class Scalefs(Target):
    """A mount of scalefs: of an image, or of memory; over io_uring where the kernel offers it."""

    def __init__(self, name, transport, memory):
        super().__init__(name)
        self.transport, self._memory = transport, memory
        self.uses_disk = not memory

    def check(self, programs, work):
        _need_fuse()
        programs.own("scalefs")
        programs.own("mkfs.scalefs")
        _need_rings(self.transport)

    @contextlib.contextmanager
    def ready(self, programs, disk):
        point = disk.mountpoint()
        words = [programs.own("scalefs"), "-f", "-o", TRANSPORTS[self.transport]]
        if self._memory:
            words.append("--memory")
        else:
            call(programs.own("mkfs.scalefs"), "-q", "-f", disk.path())
            words.append(disk.path())
        with _served(disk, self.name, words + [point], point, notify=True) as pid, self._folder(point, [pid]) as place:
            yield place


class Null(Target):
    """The transport alone: a daemon that answers at once and stores nothing."""

    stores = False

    def __init__(self, name, transport):
        super().__init__(name)
        self.transport = transport

    def check(self, programs, work):
        _need_fuse()
        programs.own("scalefs-null")
        _need_rings(self.transport)

    @contextlib.contextmanager
    def ready(self, programs, disk):
        point = disk.mountpoint()
        words = [programs.own("scalefs-null"), "-o", TRANSPORTS[self.transport], point]
        with _served(disk, self.name, words, point, notify=True) as pid, self._folder(point, [pid]) as place:
            yield place


_LAZY = "nodiscard,lazy_itable_init=0,lazy_journal_init=0"
_EXT4 = ("mkfs.ext4", "e2fsprogs", "-q", "-F", "-E", _LAZY)
# Of each peer what makes it: program, package, arguments.
_MAKERS = {
    "ext4": _EXT4,
    "xfs": ("mkfs.xfs", "xfsprogs", "-q", "-f", "-K"),
    "btrfs": ("mkfs.btrfs", "btrfs-progs", "-q", "-f", "-K"),
    "fuse2fs": _EXT4,
    "ntfs-3g": ("mkntfs", "ntfs-3g", "-q", "-F", "-Q"),
    "bindfs": _EXT4,
}
_LEAST = {"xfs": 320 << 20, "btrfs": 128 << 20}
PEERS = ("ext4", "xfs", "btrfs", "tmpfs", "fuse2fs", "ntfs-3g", "bindfs")
_OF_KERNEL = ("ext4", "xfs", "btrfs", "tmpfs")


class Peer(Target):
    """Another file system on the same image, mounted as its users mount it."""

    def __init__(self, kind):
        super().__init__(kind)
        self.kind = kind
        self.uses_disk = kind != "tmpfs"
        self.uses_loop = kind in ("ext4", "xfs", "btrfs", "bindfs")

    def check(self, programs, work):
        if os.geteuid() != 0:
            raise Absent("mounting it needs root")
        if self.kind in _OF_KERNEL:
            subprocess.run(["modprobe", "-q", self.kind], stderr=subprocess.DEVNULL, check=False)
            with open("/proc/filesystems", encoding="utf-8") as file:
                if self.kind not in file.read().split():
                    raise Absent(f"the kernel has no {self.kind}")
        else:
            _need_fuse()
            programs.system(self.kind, self.kind)
        if self.kind in _MAKERS:
            programs.system(*_MAKERS[self.kind][:2])
        if self.uses_loop:
            programs.system("losetup", "mount")
        if work.image_size < _LEAST.get(self.kind, 0):
            raise Absent(f"it needs an image of at least {_LEAST[self.kind] >> 20}M; --image-size says how large it is")

    def _make(self, programs, disk):
        program, package, *words = _MAKERS[self.kind]
        call(programs.system(program, package), *words, disk.path())

    @contextlib.contextmanager
    def ready(self, programs, disk):
        point = disk.mountpoint()
        with contextlib.ExitStack() as stack:
            servers = []
            if self.kind == "tmpfs":
                stack.enter_context(_mounted(point, "mount", "-t", "tmpfs", "-o", f"size={disk.size}", "scalefs-bench"))
            else:
                self._make(programs, disk)
            if self.uses_loop:
                below = disk.mountpoint("below") if self.kind == "bindfs" else point
                device = stack.enter_context(disk.loop())
                kind = "ext4" if self.kind == "bindfs" else self.kind
                stack.enter_context(_mounted(below, "mount", "-t", kind, device))
            words = {
                "fuse2fs": ["fuse2fs", "-f", "-o", "fakeroot,allow_other", disk.path(), point],
                "ntfs-3g": ["ntfs-3g", "-o", "no_detach,big_writes", disk.path(), point],
                "bindfs": ["bindfs", "-f", below, point] if self.kind == "bindfs" else None,
            }.get(self.kind) if self.kind not in _OF_KERNEL else None
            if words:
                words[0] = programs.system(words[0], words[0])
                servers.append(stack.enter_context(_served(disk, self.kind, words, point)))
            yield stack.enter_context(self._folder(point, servers))


# Words for --target: (word, what it is).
WORDS = [
    ("engine", "a volume in memory, in the process that measures: no kernel, no transport"),
    ("engine:image", "the same of a volume on an image"),
    ("scalefs", "scalefs:io_uring and scalefs:dev_fuse"),
    ("scalefs:io_uring", "a mount of an image, over io_uring"),
    ("scalefs:dev_fuse", "a mount of an image, over /dev/fuse"),
    ("scalefs:memory", "a mount of a volume in memory, over io_uring where there is one"),
    ("null", "null:io_uring and null:dev_fuse"),
    ("null:io_uring", "scalefs-null, which stores nothing: what the transport costs"),
    ("null:dev_fuse", "the same over /dev/fuse"),
    ("peers", "all of the following, those that are there"),
] + [(f"peer:{kind}", f"{kind} on the same image" + {"tmpfs": " (no image)", "bindfs": ", over ext4"}.get(kind, ""))
     for kind in PEERS] + [("dir:PATH", "a directory that is there; NAME=dir:PATH gives it a name in the results")]


def _rings():
    try:
        _need_rings("io_uring")
        return "io_uring"
    except Absent:
        return "dev_fuse"


def _one(word):
    head, _, tail = word.partition(":")
    if word in ("engine", "engine:image"):
        return Engine(word)
    if word == "scalefs:memory":
        return Scalefs(word, _rings(), True)
    if head == "scalefs" and tail in TRANSPORTS:
        return Scalefs(word, tail, False)
    if head == "null" and tail in TRANSPORTS:
        return Null(word, tail)
    if head == "peer" and tail in PEERS:
        return Peer(tail)
    return None


def _directory(word, taken):
    label, _, path = word.partition("dir:")
    name = label.rstrip("=") or "dir"
    if not path or "/" in name or (label and not label.endswith("=")):
        raise ValueError(f"{word}: dir:PATH or NAME=dir:PATH is needed, NAME without /")
    if not os.path.isdir(path):
        raise ValueError(f"{word}: there is no directory {path}")
    number = 1
    while (name if number == 1 else f"{name}{number}") in taken:
        number += 1
    return Directory(name if number == 1 else f"{name}{number}", path)


def parse(text):
    """[(target, whether it was asked for by its own name)], of a list with commas. Raises ValueError."""
    found = {}
    groups = {"scalefs": ["scalefs:io_uring", "scalefs:dev_fuse"], "null": ["null:io_uring", "null:dev_fuse"],
              "peers": [f"peer:{kind}" for kind in PEERS]}
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word.startswith("dir:") or "=dir:" in word:
            target = _directory(word, found)
            found[target.name] = (target, True)
            continue
        for one in groups.get(word, [word]):
            target = _one(one)
            if target is None:
                words = [known for known, _ in WORDS]
                near = difflib.get_close_matches(word, words + [f"peer:{kind}" for kind in PEERS] + list(PEERS), 1)
                near = [f"peer:{near[0]}" if near[0] in PEERS else near[0]] if near else []
                raise ValueError(f"there is no target '{word}'" + (f"; did you mean {near[0]}?" if near else "") +
                                 f"\ntargets: {', '.join(words)}")
            asked = word not in groups
            found[target.name] = (target, asked or found.get(target.name, (None, False))[1])
    if not found:
        raise ValueError("--target names none")
    return list(found.values())


def describe(place):
    """For env.json."""
    return env.describe_folder(place.mountpoint) if place.mountpoint else {}


def ends_quietly():
    """SIGTERM and SIGHUP end a run as Ctrl-C does."""
    def interrupt(number, frame):
        raise KeyboardInterrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
