"""What the tests of the way in and out share. Importing it takes the script into a mount namespace of its own
(private_mounts), so it comes first.
"""

import os

import private_mounts

private_mounts.enter()

from mount import SCALEFS, MountTest, main as run_tests, run  # noqa: E402
from private_mounts import write_fstab  # noqa: E402

NOBODY = 65534
STRANGER = 65533
FAILED = 32


def as_user(uid, *words):
    return ['setpriv', f'--reuid={uid}', f'--regid={uid}', '--clear-groups', *words]


def attempt(*words, **more):
    done = run(*words, check=False, timeout=60, **more)
    return done.returncode, done.stdout


def entry(path):
    """Source, type and options of the uppermost mount on `path`, or None."""
    found = None
    with open('/proc/self/mountinfo', encoding='utf-8') as lines:
        for line in lines:
            words = line.split()
            if words[4] == str(path):
                dash = words.index('-')
                found = (words[dash + 2], words[dash + 1],
                         set(words[5].split(',') + words[dash + 3].split(',')))
    return found


class WaysTest(MountTest):
    def setUp(self):
        super().setUp()
        write_fstab()

    def started(self, volume):
        """Takes note of a daemon that mount(8) started."""
        volume.pid = volume.find_daemon()
        return volume.pid

    def ended(self, volume):
        """umount must have waited for the daemon: it has ended, and the image is whole and free."""
        self.assertFalse(os.path.exists(f'/proc/{volume.pid}') and self.runs(volume.pid))
        volume.pid = None
        volume.fsck()

    @staticmethod
    def runs(pid):
        with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as line:
            return line.read().rpartition(')')[2].split()[0] != 'Z'


def main():
    private_mounts.prepare(SCALEFS)
    run_tests()
