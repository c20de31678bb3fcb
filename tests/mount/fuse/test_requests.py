"""How many requests each call costs, against the table requests.txt. A request costs some ten microseconds whatever the daemon
does, so the count decides what a call costs; a change of the table is a decision, with its reason beside it."""

import os
import pathlib
import re
import stat
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

import mount  # noqa: E402

TABLE = pathlib.Path(__file__).with_name('requests.txt')
OPCODE = re.compile(r'opcode: (\w+) \(\d+\)')
# What the kernel sends when it likes.
LATER = {'FORGET', 'BATCH_FORGET', 'INTERRUPT'}


def read_table():
    """call -> (mode, requests); lines `call | requests | with strict_open | reason`."""
    table = {}
    for line in TABLE.read_text().splitlines():
        if not line or line.startswith('#'):
            continue
        call, fast, strict, reason = (part.strip() for part in line.split('|'))
        assert reason, f'{call}: no reason'
        assert call not in table, call
        table[call] = (fast.split(), strict.split())
    return table


class Requests(mount.MountTest):
    limit = 200
    options = ()
    column = 0

    def setUp(self):
        super().setUp()
        self.table = read_table()
        self.asked = set()
        self.mounted = self.volume(memory=True).mount('debug', *self.options)
        self.top = self.mounted.path
        # What the kernel learns only once (calls that are not there), and the root.
        os.mkdir(self.top / 'warm')
        with open(self.top / 'warm' / 'f', 'w', encoding='ascii') as file:
            file.write('x')
        (self.top / 'warm' / 'f').read_text()
        os.listdir(self.top / 'warm')

    def requests(self, call):
        """Opcodes of what `call` makes the kernel send, once it was quiet before and is after."""
        marks = []
        for _ in range(2):
            marks.append(self.quiet())
            if len(marks) == 1:
                call()
        return [opcode for opcode in OPCODE.findall(self.mounted.log.read_text()[marks[0]:marks[1]])
                if opcode not in LATER]

    def quiet(self):
        size = self.mounted.log.stat().st_size
        since = time.monotonic()
        while time.monotonic() - since < 0.05:
            time.sleep(0.01)
            now = self.mounted.log.stat().st_size
            if now != size:
                size, since = now, time.monotonic()
        return size

    def check(self, name, call):
        self.asked.add(name)
        found = self.requests(call)
        with self.subTest(call=name):
            self.assertEqual(found, self.table[name][self.column])

    def test_calls_cost_what_the_table_says(self):
        top = self.top
        os.mkdir(top / 'd')
        path = top / 'd' / 'f'

        def create_and_close():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))

        self.check('create+close', create_and_close)
        self.check('open+close', lambda: os.close(os.open(path, os.O_RDONLY)))
        self.check('stat', lambda: os.stat(path))
        self.check('access', lambda: os.access(path, os.W_OK))
        fd = os.open(path, os.O_RDWR)
        self.check('write 4 KiB', lambda: os.pwrite(fd, b'x' * 4096, 0))
        self.check('overwrite 4 KiB', lambda: os.pwrite(fd, b'y' * 4096, 0))
        self.check('write 1 MiB', lambda: os.pwrite(fd, b'x' * (1 << 20), 4096))
        self.check('read what was written', lambda: os.pread(fd, 4096, 0))
        self.check('fsync', lambda: os.fsync(fd))
        self.check('ftruncate', lambda: os.ftruncate(fd, 100))
        self.check('fallocate', lambda: os.posix_fallocate(fd, 0, 8192))
        self.check('close', lambda: os.close(fd))
        appending = os.open(path, os.O_WRONLY | os.O_APPEND)
        self.check('append', lambda: os.write(appending, b'z' * 100))
        os.close(appending)
        self.check('open with O_TRUNC+close', lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)))
        self.check('chmod', lambda: os.chmod(path, 0o600))
        self.check('utimes', lambda: os.utime(path, (1, 2)))
        self.check('link', lambda: os.link(path, top / 'd' / 'l'))
        self.check('rename', lambda: os.rename(top / 'd' / 'l', top / 'd' / 'm'))
        os.close(os.open(top / 'd' / 'n', os.O_CREAT | os.O_WRONLY))
        self.check('rename over', lambda: os.rename(top / 'd' / 'm', top / 'd' / 'n'))
        self.check('symlink', lambda: os.symlink('f', top / 'd' / 's'))
        self.check('readlink', lambda: os.readlink(top / 'd' / 's'))
        self.check('readlink again', lambda: os.readlink(top / 'd' / 's'))
        self.check('setxattr', lambda: os.setxattr(path, 'user.a', b'1'))
        self.check('getxattr', lambda: os.getxattr(path, 'user.a'))
        self.check('stat of a missing name', lambda: os.path.exists(top / 'd' / 'no'))
        self.check('stat of it again', lambda: os.path.exists(top / 'd' / 'no'))
        self.check('create+close of it', lambda: os.close(os.open(top / 'd' / 'no', os.O_CREAT | os.O_WRONLY)))
        self.check('mkdir', lambda: os.mkdir(top / 'd' / 'e'))
        self.check('rmdir', lambda: os.rmdir(top / 'd' / 'e'))
        self.check('mknod of a fifo', lambda: os.mkfifo(top / 'd' / 'p'))
        self.check('readdir', lambda: os.listdir(top / 'd'))
        self.check('readdir again', lambda: os.listdir(top / 'd'))
        self.check('readdir and stat of each', self.list_and_stat)
        self.check('statfs', lambda: os.statvfs(top))
        self.check('unlink', lambda: os.unlink(path))
        self.assertEqual(self.asked, set(self.table), 'the table has other calls')

    def list_and_stat(self):
        with os.scandir(self.top / 'd') as entries:
            for entry in entries:
                stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode)


class RequestsWithStrictOpen(Requests):
    options = ('strict_open',)
    column = 1


if __name__ == '__main__':
    mount.main()
