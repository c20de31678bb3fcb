"""For tests that change what a whole machine shares: they run in a mount namespace of their own, with their own /dev, their
own /etc/fstab, and the mount helpers as they would be installed. Nothing of it is seen outside, or left behind by a kill.
"""

import os
import pathlib
import stat
import subprocess
import sys
import tempfile

MARK = 'SCALEFS_PRIVATE_MOUNTS'
HELPERS = ('mount.scalefs', 'mount.fuse.scalefs', 'mount.fuseblk.scalefs',
           'umount.scalefs', 'umount.fuse.scalefs', 'umount.fuseblk.scalefs')
NODES = {'null': (1, 3), 'zero': (1, 5), 'full': (1, 7), 'random': (1, 8), 'urandom': (1, 9),
         'fuse': (10, 229), 'loop-control': (10, 237), **{f'loop{n}': (7, n) for n in range(16)}}


def enter():
    """Runs the calling script once more, in a mount namespace of its own. Before anything else is done."""
    if os.geteuid() != 0 or not os.path.exists('/dev/fuse'):
        print('skipped: needs root and /dev/fuse')
        sys.exit(77)
    if MARK not in os.environ:
        os.environ[MARK] = 'yes'
        os.execvp('unshare', ['unshare', '--mount', '--propagation', 'private',
                              sys.executable, '-B', *sys.argv])


def mount(*words):
    subprocess.run(['mount', '-i', *[str(word) for word in words]], check=True)


def prepare(scalefs):
    """Inside: makes /dev, /etc/fstab and the helpers private, so that tests may write them."""
    base = pathlib.Path(tempfile.mkdtemp(prefix='scalefs-private-'))
    mount('-t', 'tmpfs', 'scalefs-private', base)
    (base / 'fstab').touch()
    if not os.path.exists('/etc/fstab'):
        pathlib.Path('/etc/fstab').touch()
    mount('--bind', base / 'fstab', '/etc/fstab')

    folder = os.path.realpath('/sbin')
    for name in ('upper', 'work'):
        (base / name).mkdir()
    mount('-t', 'overlay', 'overlay', '-o',
          f'lowerdir={folder},upperdir={base}/upper,workdir={base}/work', folder)
    for name in HELPERS:
        link = pathlib.Path(folder, name)
        if link.exists() or link.is_symlink():
            link.unlink()
        link.symlink_to(scalefs)

    devices = base / 'dev'
    devices.mkdir()
    mount('-t', 'tmpfs', '-o', 'mode=755,dev', 'scalefs-dev', devices)
    umask = os.umask(0)
    for name, (major, minor) in NODES.items():
        kind = stat.S_IFBLK if major == 7 else stat.S_IFCHR
        os.mknod(devices / name, (0o660 if major == 7 else 0o666) | kind, os.makedev(major, minor))
    os.umask(umask)
    for name, target in (('fd', '/proc/self/fd'), ('stdin', 'fd/0'), ('stdout', 'fd/1'),
                         ('stderr', 'fd/2')):
        (devices / name).symlink_to(target)
    mount('--move', devices, '/dev')
    os.rmdir(devices)


def write_fstab(*lines):
    pathlib.Path('/etc/fstab').write_text(''.join(line + '\n' for line in lines), encoding='utf-8')
