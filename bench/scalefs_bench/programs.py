"""Where the programs are that a run needs: those of scalefs beside this one, installed or built, others in the system's folders."""
import json
import os
import shutil
import subprocess

_HERE = os.path.dirname(os.path.abspath(__file__))


class Absent(Exception):
    """What a target needs and is not here; the text says what, and the way to it."""


class Failed(Exception):
    """What was called did not do its work; the text is for the user."""


def _folders():
    top = os.path.dirname(_HERE)
    if os.path.basename(top) == "scalefs":  # PREFIX/share/scalefs
        prefix = os.path.dirname(os.path.dirname(top))
        return [os.path.join(prefix, folder) for folder in ("libexec/scalefs", "bin", "sbin")]
    return [os.path.join(os.path.dirname(top), "build", "release")]


class Programs:
    """`binaries`: a folder of programs of scalefs that is looked at first."""

    def __init__(self, binaries=None):
        self._folders = ([binaries] if binaries else []) + _folders()

    def own(self, name):
        for folder in self._folders:
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK):
                return os.path.abspath(path)
        found = shutil.which(name)
        if not found:
            raise Absent(f"{name} is neither installed nor built; --binaries DIR names the folder that it is in")
        return found

    def system(self, name, package):
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not found:
            raise Absent(f"{name} is not installed (Debian: {package})")
        return found

    def worker_says(self, *words):
        """What the worker prints, as JSON."""
        done = subprocess.run([self.own("scalefs-bench-worker"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True, check=False)
        if done.returncode != 0:
            raise Failed(done.stderr.strip() or f"scalefs-bench-worker ended with {done.returncode}")
        return json.loads(done.stdout)


def call(*words, **more):
    """Runs a program that is to succeed."""
    words = [str(word) for word in words]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    text = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0:
        raise Failed(f"{os.path.basename(words[0])} failed with status {done.returncode}: {' '.join(text.split())[:200]}")
    return text
