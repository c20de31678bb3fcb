"""What a run makes on the machine, and that nothing of it stays: folders, images, loop devices, mounts, daemons.

A run makes all of it below folders of its own, its roots. They are cleared when the run ends, however it ends: by this
process, or, where that was killed, by a janitor: a process that does nothing but wait for it to end. What stays when both are
killed, or the machine stops, is cleared by the next run with the same folder for images.
"""
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time

PREFIX = "scalefs-bench-"
_LOCK = "lock"
_PR_SET_PDEATHSIG = 1


def end_with_parent():
    """For a child that is to get SIGTERM when this process ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def mounts_below(root):
    """Mount points below a folder, the innermost first."""
    real = os.path.realpath(root)
    with open("/proc/self/mountinfo", "rb") as file:
        points = [line.split()[4].decode("unicode_escape") for line in file]
    return [point for point in reversed(points) if point.startswith(real + "/")]


def loops_below(root):
    real, found = os.path.realpath(root), []
    for name in os.listdir("/sys/block") if os.path.isdir("/sys/block") else []:
        try:
            with open(f"/sys/block/{name}/loop/backing_file", encoding="utf-8", errors="replace") as file:
                if file.read().strip().removesuffix(" (deleted)").startswith(real + "/"):
                    found.append(f"/dev/{name}")
        except OSError:
            continue
    return found


def _quietly(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def _mounted(point):
    try:
        os.lstat(point)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # by a daemon that is gone
    return os.path.ismount(point)


def unmount(point):
    """False: it is used, and was taken away from its place, to end when its users do."""
    for _ in range(50):
        if not _mounted(point):
            return True
        if _quietly("umount", point) or (os.geteuid() != 0 and _quietly("fusermount3", "-u", point)):
            return True
        time.sleep(0.1)
    _quietly("umount", "-l", point) or _quietly("fusermount3", "-uz", point)
    return False


def clear(root):
    """Takes down what is below a folder, and the folder; what that was, in words."""
    done = []
    for point in mounts_below(root):
        unmount(point)
        done.append("a mount")
    for device in loops_below(root):
        _quietly("losetup", "-d", device)
        done.append("a loop device")
    if os.path.lexists(root):
        shutil.rmtree(root, ignore_errors=True)
        done.append("its folder" if not os.path.lexists(root) else f"not all of {root}")
    return done


def _janitor(pipe):
    """Waits for the end of the run: its last word is `done`, or it has none."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    heard = b""
    while piece := os.read(pipe, 4096):
        heard += piece
    lines = heard.decode(errors="surrogateescape").split("\n")
    if "done" in lines:
        return
    for line in lines:
        if line.startswith("pid "):
            try:
                os.kill(int(line[4:]), signal.SIGTERM)
            except OSError:
                pass
    time.sleep(0.3)  # the worker takes its files away
    for root in (line[5:] for line in lines if line.startswith("root ")):
        for _ in range(20):
            clear(root)
            if not os.path.lexists(root):
                break
            time.sleep(0.5)


class Workplace:
    """The roots of one run; a context manager. `images`: in which folder the first of them is made. `image_size`: of the image."""

    def __init__(self, images=None, image_size=0):
        self._images = images or tempfile.gettempdir()
        self.image_size = image_size
        self.left = []
        self.swept = []
        self._roots = []
        self._pipe = None

    def __enter__(self):
        self._sweep()
        read, self._pipe = os.pipe()
        self._janitor = os.fork()
        if self._janitor == 0:
            try:
                os.close(self._pipe)
                devnull = os.open(os.devnull, os.O_RDWR)
                for number in (0, 1, 2):
                    os.dup2(devnull, number)
                _janitor(read)
            finally:
                os._exit(0)
        os.close(read)
        return self

    def __exit__(self, *what):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # it is on the way
        self.left = [root for root in self._roots if "its folder" not in clear(root) and os.path.lexists(root)]
        self._tell("done")
        os.close(self._pipe)
        os.waitpid(self._janitor, 0)

    def _tell(self, line):
        os.write(self._pipe, os.fsencode(line + "\n"))

    def root(self, folder=None):
        """Makes a new root in a folder (default: that for images). Raises OSError."""
        path = tempfile.mkdtemp(prefix=PREFIX, dir=folder or self._images)
        self._roots.append(path)
        self._tell(f"root {path}")
        if folder is None:
            # Says to later runs that this one goes on; inherited by nobody.
            self._lock = open(os.path.join(path, _LOCK), "wb")  # pylint: disable=consider-using-with
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return path

    def drop(self, root):
        """A root that is not needed any more."""
        clear(root)
        if not os.path.lexists(root):
            self._roots.remove(root)

    def child(self, pid):
        """A process that is to end with the run."""
        self._tell(f"pid {pid}")

    def _sweep(self):
        """Clears what an earlier run has left that was killed, and whose janitor was."""
        try:
            names = sorted(os.listdir(self._images))
        except OSError:
            return
        for name in names:
            path = os.path.join(self._images, name)
            try:
                if not name.startswith(PREFIX) or os.lstat(path).st_uid != os.geteuid():
                    continue
                with open(os.path.join(path, _LOCK), "r+b") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self.swept.append(f"{path}: {', '.join(clear(path))}")
            except OSError:
                continue
