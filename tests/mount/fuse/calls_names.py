"""System calls that make, change and list names."""

import errno
import os
import stat
import subprocess
import threading

from calls import Calls
from mount import libc, run

RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
AT_FDCWD = -100


def renameat2(source, target, flags):
    libc('renameat2', AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags)


class Names(Calls):
    def test_create_exclusive_and_truncating(self):
        path = self.top / 'file'
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
        os.write(fd, b'hello world')
        os.close(fd)
        self.assert_errno(errno.EEXIST, os.open, path, os.O_CREAT | os.O_EXCL)
        self.assertEqual(path.read_bytes(), b'hello world')
        os.close(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY))
        self.assertEqual(path.read_bytes(), b'')
        self.assert_errno(errno.ENOENT, os.open, self.top / 'none', os.O_RDONLY)
        self.assert_errno(errno.ENOTDIR, os.open, path / 'below', os.O_RDONLY)

    def test_names_have_255_bytes_at_most(self):
        good, bad = self.top / ('n' * 255), self.top / ('n' * 256)
        good.write_bytes(b'x')
        self.assertEqual(os.listdir(self.top), ['n' * 255])
        self.assert_errno(errno.ENAMETOOLONG, os.open, bad, os.O_CREAT | os.O_WRONLY)
        self.assert_errno(errno.ENAMETOOLONG, os.stat, bad)
        self.assert_errno(errno.ENAMETOOLONG, os.mkdir, bad)
        self.assert_errno(errno.ENAMETOOLONG, os.rename, good, bad)
        self.assert_errno(errno.ENAMETOOLONG, os.symlink, 'target', bad)
        self.assert_errno(errno.ENAMETOOLONG, os.link, good, bad)

    def test_names_are_bytes(self):
        names = [b'\xff\xfe', b'new\nline', b' ', b'-', b'\\', b'\xc3\xa4', b'...']
        for name in names:
            with open(os.path.join(os.fsencode(self.top), name), 'wb') as file:
                file.write(name)
        self.assertEqual(sorted(os.listdir(os.fsencode(self.top))), sorted(names))
        for name in names:
            with open(os.path.join(os.fsencode(self.top), name), 'rb') as file:
                self.assertEqual(file.read(), name)

    def test_directories(self):
        inner = self.top / 'a' / 'b'
        inner.mkdir(parents=True)
        self.assertEqual(os.stat(self.top).st_nlink, 3)
        self.assertEqual(os.stat(self.top / 'a').st_nlink, 3)
        self.assert_errno(errno.EEXIST, os.mkdir, inner)
        self.assert_errno(errno.ENOTEMPTY, os.rmdir, self.top / 'a')
        self.assert_errno(errno.EISDIR, os.unlink, inner)
        os.rmdir(inner)
        self.assertEqual(os.stat(self.top / 'a').st_nlink, 2)
        (self.top / 'file').touch()
        self.assert_errno(errno.ENOTDIR, os.rmdir, self.top / 'file')

    def test_a_removed_directory_that_is_open_takes_no_names(self):
        path = self.top / 'gone'
        path.mkdir()
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        os.rmdir(path)
        self.assertEqual(os.listdir(fd), [])
        self.assert_errno(errno.ENOENT, os.open, 'new', os.O_CREAT | os.O_WRONLY, dir_fd=fd)
        os.close(fd)

    def test_large_directory_is_listed_whole_while_it_changes(self):
        for i in range(3000):
            (self.top / f'stays-{i}').touch()
        for i in range(1000):
            (self.top / f'goes-{i}').touch()
        seen = []
        with os.scandir(self.top) as entries:
            for count, entry in enumerate(entries):
                seen.append(entry.name)
                self.assertTrue(entry.is_file())
                if count < 1000:
                    (self.top / f'goes-{count}').unlink(missing_ok=True)
                    (self.top / f'comes-{count}').touch()
        stays = [name for name in seen if name.startswith('stays-')]
        self.assertEqual(len(stays), 3000)
        self.assertEqual(len(set(stays)), 3000)
        self.assertEqual(len(os.listdir(self.top)), 4000)

    def test_readdir_numbers_and_types_are_those_of_stat(self):
        (self.top / 'file').touch()
        (self.top / 'dir').mkdir()
        (self.top / 'link').symlink_to('file')
        os.mkfifo(self.top / 'fifo')
        with os.scandir(self.top) as entries:
            for entry in entries:
                info = os.lstat(entry.path)
                self.assertEqual(entry.inode(), info.st_ino)
                self.assertEqual(entry.is_dir(follow_symlinks=False), stat.S_ISDIR(info.st_mode))
                self.assertEqual(entry.is_symlink(), stat.S_ISLNK(info.st_mode))

    def test_hard_links_share_everything(self):
        first, second = self.top / 'first', self.top / 'second'
        first.write_bytes(b'one')
        os.link(first, second)
        self.assertEqual(os.stat(first).st_ino, os.stat(second).st_ino)
        self.assertEqual(os.stat(first).st_nlink, 2)
        second.write_bytes(b'two!')
        self.assertEqual(first.read_bytes(), b'two!')
        os.unlink(first)
        self.assertEqual(os.stat(second).st_nlink, 1)
        self.assertEqual(second.read_bytes(), b'two!')
        self.assert_errno(errno.EPERM, os.link, self.top, self.top / 'dirlink')

    def test_symlinks(self):
        link = self.top / 'link'
        target = 't' * 4000
        os.symlink(target, link)
        self.assertEqual(os.readlink(link), target)
        self.assertEqual(os.lstat(link).st_size, 4000)
        self.assert_errno(errno.EEXIST, os.symlink, 'x', link)
        self.assert_errno(errno.ELOOP, self.loop_of_links)

    def loop_of_links(self):
        os.symlink('b', self.top / 'a')
        os.symlink('a', self.top / 'b')
        os.stat(self.top / 'a')

    def test_rename_replaces(self):
        a, b = self.top / 'a', self.top / 'b'
        a.write_bytes(b'a')
        b.write_bytes(b'b')
        held = open(b, 'rb')
        os.rename(a, b)
        self.assertEqual(b.read_bytes(), b'a')
        self.assertEqual(held.read(), b'b')
        self.assertEqual(os.fstat(held.fileno()).st_nlink, 0)
        held.close()
        self.assertFalse(a.exists())
        (self.top / 'd').mkdir()
        self.assert_errno(errno.EISDIR, os.rename, b, self.top / 'd')
        self.assert_errno(errno.ENOTDIR, os.rename, self.top / 'd', b)
        (self.top / 'd' / 'e').mkdir()
        self.assert_errno(errno.EINVAL, os.rename, self.top / 'd', self.top / 'd' / 'e' / 'f')
        (self.top / 'g').mkdir()
        self.assert_errno(errno.ENOTEMPTY, os.rename, self.top / 'g', self.top / 'd')
        os.rename(self.top / 'd', self.top / 'g')
        self.assertEqual(os.listdir(self.top / 'g'), ['e'])

    def test_rename_with_flags(self):
        a, b = self.top / 'a', self.top / 'b'
        a.write_bytes(b'a')
        b.mkdir()
        self.assert_errno(errno.EEXIST, renameat2, a, b, RENAME_NOREPLACE)
        renameat2(a, b, RENAME_EXCHANGE)
        self.assertTrue(a.is_dir())
        self.assertEqual(b.read_bytes(), b'a')
        renameat2(b, self.top / 'c', RENAME_NOREPLACE)
        self.assertEqual((self.top / 'c').read_bytes(), b'a')
        self.assert_errno(errno.ENOENT, renameat2, b, a, RENAME_EXCHANGE)
        renameat2(self.top / 'c', self.top / 'd', RENAME_WHITEOUT)
        info = os.lstat(self.top / 'c')
        self.assertTrue(stat.S_ISCHR(info.st_mode))
        self.assertEqual(info.st_rdev, 0)
        self.assertEqual((self.top / 'd').read_bytes(), b'a')
        self.assert_errno(errno.EINVAL, renameat2, a, b, RENAME_NOREPLACE | RENAME_EXCHANGE)

    def test_special_files(self):
        os.mkfifo(self.top / 'fifo', 0o600)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.top / 'fifo').st_mode))
        os.mknod(self.top / 'null', 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        self.assertEqual(os.stat(self.top / 'null').st_rdev, os.makedev(1, 3))
        os.mknod(self.top / 'big', 0o600 | stat.S_IFBLK, os.makedev(259, 70000))
        self.assertEqual(os.stat(self.top / 'big').st_rdev, os.makedev(259, 70000))
        os.mknod(self.top / 'socket', 0o600 | stat.S_IFSOCK)
        self.assertTrue(stat.S_ISSOCK(os.stat(self.top / 'socket').st_mode))

    def test_deep_paths(self):
        fd = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        depth = 300  # paths of 15,000 bytes, beyond PATH_MAX
        for _ in range(depth):
            os.mkdir('d' * 50, dir_fd=fd)
            inner = os.open('d' * 50, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = inner
        file = os.open('deep', os.O_CREAT | os.O_WRONLY, dir_fd=fd)
        os.write(file, b'down here')
        os.close(file)
        for _ in range(depth):
            outer = os.open('..', os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = outer
        self.assertEqual(os.fstat(fd).st_ino, os.stat(self.top).st_ino)
        os.close(fd)
        run('rm', '-rf', self.top / ('d' * 50))
        self.assertEqual(os.listdir(self.top), [])

    def test_tmpfile_is_nameless_until_linked(self):
        fd = os.open(self.top, os.O_TMPFILE | os.O_RDWR, 0o640)
        os.write(fd, b'nameless')
        self.assertEqual(os.fstat(fd).st_nlink, 0)
        self.assertEqual(os.listdir(self.top), [])
        libc('linkat', AT_FDCWD, f'/proc/self/fd/{fd}'.encode(), AT_FDCWD,
             os.fsencode(self.top / 'named'), 0x400)
        os.close(fd)
        self.assertEqual((self.top / 'named').read_bytes(), b'nameless')
        self.assertEqual(os.stat(self.top / 'named').st_nlink, 1)

    def test_an_unlinked_file_lives_while_it_is_open(self):
        path = self.top / 'open'
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
        os.write(fd, b'before')
        os.unlink(path)
        os.write(fd, b' and after')
        os.fsync(fd)
        os.ftruncate(fd, 12)
        self.assertEqual(os.pread(fd, 100, 0), b'before and a')
        self.assertEqual(os.fstat(fd).st_nlink, 0)
        self.assertEqual(os.listdir(self.top), [])
        path.write_bytes(b'another')
        self.assertEqual(os.pread(fd, 100, 0), b'before and a')
        os.close(fd)

    def test_many_threads_work_in_one_directory(self):
        errors = []

        def work(number):
            try:
                for i in range(100):
                    path = self.top / f'{number}-{i}'
                    path.write_bytes(b'%d %d' % (number, i))
                    os.rename(path, self.top / f'{number}-{i}-renamed')
                    if i % 2:
                        os.unlink(self.top / f'{number}-{i}-renamed')
            except OSError as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        names = os.listdir(self.top)
        self.assertEqual(len(names), 400)
        for name in names:
            number, i, _ = name.split('-')
            self.assertEqual((self.top / name).read_bytes(), f'{number} {i}'.encode())

    def test_an_interrupted_caller_gets_its_answer(self):
        # Signals that arrive while a request is under way must not lose or repeat anything.
        code = ('import os,signal,sys\nsignal.signal(signal.SIGALRM,lambda *a:None)\n'
                'signal.setitimer(signal.ITIMER_REAL,0.0005,0.0005)\n'
                'for i in range(200):\n'
                '  d=os.path.join(sys.argv[1],str(i)); os.mkdir(d)\n'
                '  fd=os.open(d+"/f",os.O_CREAT|os.O_EXCL|os.O_WRONLY)\n'
                '  assert os.write(fd,b"x"*100)==100\n  os.close(fd)\n'
                'signal.setitimer(signal.ITIMER_REAL,0)\n')
        done = subprocess.run(['python3', '-c', code, self.top], check=False, capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(os.listdir(self.top)), 200)

