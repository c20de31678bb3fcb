"""Random calls by several users, the same ones on the mount and on a tmpfs: each must be answered alike, and both trees look alike
all the time. `SCALEFS_SEED=n` runs one seed, `SCALEFS_POSIX_SEEDS=n` more of them; the first call that differs is printed."""

import os
import random
import stat
import tempfile

from group import Group, main
import cases
import mount
import view

SEEDS = int(os.environ.get('SCALEFS_POSIX_SEEDS', 25))
CALLS = 120
NAMES = ('a', 'b', 'c', 'd', 'd/a', 'd/b', 'e', 'e/a', 'd/e', 'd/e/a', 'l', 'd/l', '.', 'd/..', 'a/x', 'none/x', 'd/', 'l/')
MODES = ('644', '600', '755', '777', '000', '4755', '2755', '2775', '1777', '6777', '640', '711', '4711', '2644')
USERS = ('root', 'root', 'root', 'u1', 'u2', 'u12')
SIZES = ('0', '1', '5', '100', '4095', '4096', '4097', '8192', '10000', '20000', '70000')
ACLS = ('u::rwx,g::rx,o::-', 'u::rw,u:u1:rwx,g::r,m::rwx,o::-', 'u::rwx,u:u2:r,g::-,g:u1:rw,m::rw,o::r', 'u::r,g::rw,o::rwx')


def make_call(choose):
    """One call of the language of the tables. No pipes: opening one may wait."""
    name, other, mode, size = (choose(list_) for list_ in (NAMES, NAMES, MODES, SIZES))
    fd = choose(('@0', '@1', '@2'))
    where = choose((name, name, fd))
    offset = choose(SIZES)
    return choose((
        lambda: f'open {name} rdwr,creat {mode}',
        lambda: f'open {name} rdwr,creat,excl {mode}',
        lambda: f'open {name} {choose(("rdonly", "wronly", "rdwr,trunc", "wronly,creat,trunc", "rdonly,directory"))}',
        lambda: f'hold {fd[1:]} {name} {choose(("rdwr", "rdonly", "rdwr,creat", "wronly,append", "rdwr,creat,append"))} {mode}',
        lambda: f'hold {fd[1:]} {choose(("d", "e", "."))} rdwr,tmpfile {mode}',
        lambda: f'mkdir {name} {mode}',
        lambda: f'mknod {choose(("file", "chr", "sock"))} {name} {mode} 1 3',
        lambda: f'symlink {other} {name}',
        lambda: f'link {name} {other} {choose(("0", "0x400"))}',
        lambda: f'link_fd {fd} {name}',
        lambda: f'unlink {name}', lambda: f'rmdir {name}',
        lambda: f'rename {name} {other} {choose(("", "", "noreplace", "exchange", "whiteout"))}',
        lambda: f'write {where} {choose("xyz")}*{size} {offset}',
        lambda: f'write {fd} {choose("xyz")}*{size}',
        lambda: f'read {where} {size} {offset}',
        lambda: f'truncate {name} {size}', lambda: f'ftruncate {fd} {size}',
        lambda: f'fallocate {fd} {choose(("none", "keep", "keep,punch", "keep,punch"))} {offset} {size}',
        lambda: f'copy {fd} {choose(("@0", "@1", "@2"))} {size} {offset} {choose(SIZES)}',
        lambda: f'seek {fd} {offset} {choose(("set", "cur", "data", "hole"))}',
        lambda: f'chmod {where} {mode}', lambda: f'chown {where} {choose(("u1", "u2", "root"))} {choose(("u1", "u2", "-"))}',
        lambda: f'chown {where} - {choose(("u1", "u2"))}',
        lambda: f'lchown {name} u1 u2',
        lambda: f'utimens {where} {choose(("1", "now", "omit"))} {choose(("2.5", "now", "omit"))}',
        lambda: f'setxattr {where} {choose(("user.k", "trusted.k", "user.l"))} {choose(("v", "w", "x*500"))} {choose("0012")}',
        lambda: f'getxattr {where} user.k', lambda: f'listxattr {where}',
        lambda: f'removexattr {where} {choose(("user.k", "trusted.k"))}',
        lambda: f'setacl {where} {choose(ACLS)} {choose(("access", "access", "default"))}',
        lambda: f'getacl {where}', lambda: f'rmacl {where} {choose(("access", "default"))}',
        lambda: f'access {name} {choose(("r", "w", "x", "rw", "f"))}',
        lambda: f'list {where}', lambda: f'readlink {name}', lambda: f'chdir {name}',
        lambda: f'attribute {where} nlink',
    ))()


def seen(top):
    """What must be alike: not the numbers of objects, but which names are one; an mtime that was set, or that it is of a change."""
    os.chdir(top)
    found = view.view()
    first = {}
    for path, facts in found.items():
        del facts['atime'], facts['ctime']
        if facts['mtime'] > 10**18:
            facts['mtime'] = 'of a change'
        if facts['mode'] & (stat.S_ISGID | stat.S_IXGRP) == stat.S_ISGID:
            facts['mode'] &= ~stat.S_ISGID  # see the table set_id: only a local file system can tell whether it stays
        facts['same as'] = first.setdefault(facts.pop('ino'), path)
    return found


class Side(cases.Running):
    def is_folder(self, where):
        fd = self.state.fds.get(where[1:])
        return fd is not None and stat.S_ISDIR(os.fstat(fd).st_mode)


class Random(Group):
    def side(self, top):
        running = Side(cases.Row('', '', 'stat .', '0'), top)
        os.chmod(top, 0o777)
        return running

    def one_seed(self, seed, reference):
        generator = random.Random(seed)
        sides = []
        for top in (self.top / f'{seed}', reference / f'{seed}'):
            top.mkdir()
            sides.append(self.side(top))
        history = []
        try:
            for count in range(CALLS):
                call = make_call(generator.choice)
                user = generator.choice(USERS)
                if call.startswith('seek') and sides[0].is_folder(call.split()[1]):
                    continue  # every file system has its own positions
                history.append(f'as {user} {call}')
                answers = []
                for side in sides:
                    os.chdir(side.folder)
                    try:
                        answers.append(side.one(['as', user, *call.split()]))
                    except KeyError:
                        answers.append('not open')
                self.check(*answers, f'SCALEFS_SEED={seed}: {answers[0]} here, {answers[1]} there, of the last call of\n' +
                           '\n'.join(history))
                if count % 8 == 7 or count == CALLS - 1:
                    here, there = (seen(side.folder) for side in sides)
                    differ = {path: (here.get(path), there.get(path)) for path in {**here, **there}
                              if here.get(path) != there.get(path)}
                    self.check(differ, {}, f'SCALEFS_SEED={seed}: {differ} after\n' + '\n'.join(history))
        finally:
            for side in sides:
                side.finish()

    def test_the_same_as_on_tmpfs(self):
        self.compare(range(SEEDS))

    def test_the_same_where_the_kernel_asks_at_each_open(self):
        if self.kind == 'scalefs':
            with self.mounted_with('strict_open'):
                self.compare(range(1_000_000, 1_000_000 + SEEDS // 3))

    def compare(self, seeds):
        if 'SCALEFS_SEED' in os.environ:
            seeds = [int(os.environ['SCALEFS_SEED'])]
        with tempfile.TemporaryDirectory() as folder:
            mount.run('mount', '-t', 'tmpfs', 'tmpfs', folder)
            try:
                os.chmod(folder, 0o777)
                reference = type(self.top)(folder)
                for seed in seeds:
                    with self.subTest(seed=seed):
                        self.one_seed(seed, reference)
            finally:
                os.chdir('/')
                mount.run('umount', folder)


if __name__ == '__main__':
    main(Random)
