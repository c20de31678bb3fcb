"""The golden images, unpacked, and runs of the reader on images."""
import lzma
import os
import subprocess
import sys

SOURCE = os.environ.get("SCALEFS_SOURCE_DIR") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BUILD = os.environ.get("SCALEFS_BIN_DIR", "")
FOLDER = os.path.join(SOURCE, "tests", "golden")
TOOLS = os.path.join(SOURCE, "tools")
BLOCK = 4096


def names():
    return sorted(name[:-len(".img.xz")] for name in os.listdir(FOLDER)
                  if name.endswith(".img.xz"))


def image(name):
    """The bytes of an image."""
    with lzma.open(os.path.join(FOLDER, name + ".img.xz")) as file:
        return file.read()


def listing(name):
    with open(os.path.join(FOLDER, name + ".listing"), encoding="ascii") as file:
        return file.read()


def write_sparse(path, data):
    with open(path, "wb") as file:
        file.truncate(len(data))
        for at in range(0, len(data), BLOCK):
            block = data[at:at + BLOCK]
            if block.count(0) != len(block):
                file.seek(at)
                file.write(block)
    return path


def read(path, *options):
    """(exit status, standard output, standard error) of the reader."""
    done = subprocess.run(
        [sys.executable, "-B", os.path.join(TOOLS, "scalefs_reader.py"), *options, path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode("ascii"), done.stderr.decode()
