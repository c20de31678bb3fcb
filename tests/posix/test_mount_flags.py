"""What a mount allows: programs and their set-id bits, devices, writing at all. And limits that a process has."""

import errno
import os
import shutil
import stat
import subprocess
import sys

from group import Group, main
import cases
from verbs import USERS

# Calls that change something: on a read-only mount each is answered EROFS, whoever calls.
CHANGES = '''open f wronly
open f rdwr
open f rdonly,trunc
open new rdwr,creat
open . rdwr,tmpfile
truncate f 1
mkdir new
mkfifo new
mknod file new
mknod chr new 600 1 3
symlink t new
link f new
unlink f
unlink l
rmdir d
rename f new
rename d new
rename f g
rename f g exchange
rename f new noreplace
chmod f 600
chmod d 700
chown f u1 u1
lchown l u1 u1
utimens f 1 1
utimens f now now
utimens l 1 1 nofollow
utime_null f
setxattr f user.a b
setxattr f user.x b
removexattr f user.x
lsetxattr l trusted.a b
setacl f u::r,u:u1:r,g::r,m::r,o::r
rmacl d default
hold r f rdonly ; setflags @r 0x40'''.splitlines()
# And those that change nothing, or do so elsewhere.
LOOKS = '''stat f | 0
read f 9 | hello
read l 9 | hello
readlink l | f
list d | x
access f r | 0
access f w | EROFS
access p w | 0
getxattr f user.x | y
listxattr f | user.x
getacl d default | u::rwx,g::rx,o::rx
open f rdonly,creat | 0
open f rdonly,creat,excl | EEXIST
mkdir d | EEXIST
mkdir none/new | ENOENT
unlink none | EROFS
unlink d | EROFS
rmdir f | EROFS
rmdir none | EROFS
rename none new | EROFS
open p rdwr | 0
chdir d | 0
hold r f rdonly ; seek @r 0 data | 0
hold r f rdonly ; map m @r 5 r ; peek m 0 5 | hello
hold r f rdonly ; map m @r 5 rw | EACCES
hold r f rdonly ; map m @r 5 rw private ; poke m 0 HE ; peek m 0 5 | HEllo
hold r f rdonly ; fallocate @r none 0 5 | EBADF
hold r f rdonly ; ftruncate @r 0 | EINVAL
hold r f rdonly ; write @r x | EBADF
hold r f rdonly ; fsync @r | 0'''.splitlines()


class MountFlags(Group):
    def program(self, name, mode, owner=0, source='/usr/bin/id'):
        path = self.top / name
        shutil.copyfile(source, path)
        os.chown(path, owner, owner)
        os.chmod(path, mode)
        return path

    def run_as(self, user, *words):
        uid, gid, groups = USERS[user]
        return subprocess.run(words, user=uid, group=gid, extra_groups=groups, capture_output=True, text=True,
                              check=False)

    def calls(self, text):
        """The last answer of calls that are divided by `;`, made in self.top."""
        running = cases.Running(cases.Row('', '', text, '0'), self.top)
        os.chdir(self.top)
        try:
            return [running.one(words) for words in running.row.calls][-1]
        finally:
            running.finish()

    def test_programs_run_as_their_bits_say(self):
        plain = self.program('plain', 0o755)
        self.check(self.run_as('u1', plain, '-u').stdout, '61001\n')
        set_user = self.program('set-user', 0o4755)
        self.check(self.run_as('u1', set_user, '-u').stdout, '0\n')
        set_group = self.program('set-group', 0o2755, 61002)
        self.check(self.run_as('u1', set_group, '-g').stdout, '61002\n')
        self.check(self.run_as('u1', set_group, '-u').stdout, '61001\n')
        for mode, user, runs in ((0o644, 'root', False), (0o644, 'u1', False), (0o700, 'u1', False), (0o700, 'root', True),
                                 (0o001, 'u1', True), (0o010, 'u1', False), (0o111, 'u1', True)):
            path = self.program(f'{mode:o}-{user}', mode)
            try:
                self.check(self.run_as(user, path, '-u').returncode, 0)
                self.check(True, runs, path.name)
            except PermissionError:
                self.check(False, runs, path.name)
        script = self.top / 'script'
        script.write_text('#!/bin/sh\necho $0 $1\n')
        script.chmod(0o755)
        self.check(self.run_as('u1', script, 'x').stdout, f'{script} x\n')

    def test_a_running_program_cannot_be_written(self):
        path = self.program('sleep', 0o755, source=shutil.which('sleep'))
        with subprocess.Popen([path, '60']) as running:
            try:
                self.check_errno(errno.ETXTBSY, os.open, path, os.O_WRONLY)
                self.check_errno(errno.ETXTBSY, os.open, path, os.O_RDWR | os.O_TRUNC)
                self.check_errno(errno.ETXTBSY, os.truncate, path, 0)
                os.close(os.open(path, os.O_RDONLY))
                other = self.program('other', 0o755)
                os.rename(other, path)  # a new object under the name
                os.close(os.open(path, os.O_WRONLY))
            finally:
                running.kill()
        fd = os.open(path, os.O_WRONLY)
        self.check_errno(errno.ETXTBSY, subprocess.run, [path])
        os.close(fd)
        self.check(subprocess.run([path, '-u'], capture_output=True, check=False).stdout, b'0\n')

    def test_noexec_nosuid_nodev(self):
        with self.mounted_with('noexec'):
            path = self.program('id', 0o755)
            with self.assertRaises(PermissionError):
                self.run_as('root', path)
            self.check(self.calls('access id x'), 'EACCES')
        with self.mounted_with('nosuid'):
            path = self.program('id', 0o4755)
            self.check(self.run_as('u1', path, '-u').stdout, '61001\n')
            self.check(stat.S_IMODE(os.stat(path).st_mode), 0o4755)
        with self.mounted_with('nodev'):
            self.check(self.calls('mknod chr null 666 1 3 ; read null 1'), 'EACCES')
            self.check(self.calls('mkfifo p ; open p rdwr'), '0')

    def test_read_only(self):
        def prepare(top):
            self.top = top / 'kept' if self.kind == 'scalefs' else top
            self.top.mkdir(exist_ok=True)
            for text in ('file f 644 hello', 'file g', 'dir d', 'file d/x', 'symlink f l', 'mkfifo p',
                         'setxattr f user.x y', 'setacl d u::rwx,g::rx,o::rx default', 'chmod f 666', 'chmod . 777',
                         'chmod p 666'):
                self.check(self.calls(text), '0', text)

        with self.mounted_with('ro', size='64M', prepare=prepare):
            if self.kind == 'scalefs':
                self.top = self.top / 'kept'
            before = sorted((name, os.lstat(self.top / name)) for name in os.listdir(self.top))
            for line in [f'{text} | EROFS' for text in CHANGES] + LOOKS:
                text, _, expected = line.rpartition(' | ')
                with self.subTest(text):
                    self.check(self.calls(text), expected, f'{self.calls(text)}, not {expected}')
            self.check(os.statvfs(self.top).f_flag & os.ST_RDONLY, os.ST_RDONLY)
            self.check(sorted((name, os.lstat(self.top / name)) for name in os.listdir(self.top)), before)

    def test_the_limit_of_a_process_for_the_size_of_files(self):
        path = self.top / 'f'
        path.write_bytes(b'x' * 100)
        code = '''
import errno, os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
fd = os.open(sys.argv[1], os.O_RDWR)
def answer(call, *arguments):
    try:
        print(call(*arguments))
    except OSError as error:
        print(errno.errorcode[error.errno])
answer(os.pwrite, fd, b'y' * 100, 8192)
answer(os.pwrite, fd, b'y' * 100, 8142)
answer(os.ftruncate, fd, 8193)
answer(os.ftruncate, fd, 8192)
answer(os.posix_fallocate, fd, 0, 10000)
answer(os.pwrite, fd, b'y' * 20000, 0)
answer(lambda: os.fstat(fd).st_size)
'''
        done = subprocess.run([sys.executable, '-c', code, path], capture_output=True, text=True, check=True)
        self.check(done.stdout.split(), ['EFBIG', '50', 'EFBIG', 'None', 'EFBIG', '8192', '8192'])


if __name__ == '__main__':
    main(MountFlags)
