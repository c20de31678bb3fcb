"""Data that goes other ways: flags of single calls and of open files, sendfile and splice, pipes and sockets with names, and large
extended attributes."""

import errno
import fcntl
import os
import socket
import threading

from group import Group, main


class Streams(Group):
    def file(self, name='f', data=b''):
        path = self.top / name
        path.write_bytes(data)
        return path

    def open(self, path, flags=os.O_RDWR):
        fd = os.open(path, flags)
        self.addCleanup(os.close, fd)
        return fd

    def test_flags_of_one_write(self):
        path = self.file(data=b'hello')
        fd = self.open(path)
        for flags in (0, os.RWF_DSYNC, os.RWF_SYNC):
            self.check(os.pwritev(fd, [b'HE', b'L'], 0, flags), 3)
        self.check(os.pwritev(fd, [b'!'], 0, os.RWF_APPEND), 1)
        self.check(path.read_bytes(), b'HELlo!')
        self.check(os.lseek(fd, 0, os.SEEK_CUR), 0)
        self.check_errno(errno.EOPNOTSUPP, os.pwritev, fd, [b'x'], 0, 1 << 20)
        self.check(os.preadv(fd, [bytearray(3), bytearray(10)], 1), 5)
        self.check(os.preadv(fd, [bytearray(3)], 6), 0)

    def test_flags_of_an_open_file_change(self):
        path = self.file(data=b'hello')
        fd = self.open(path)
        os.write(fd, b'H')
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
        os.write(fd, b'!')
        self.check(path.read_bytes(), b'Hello!')
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
        os.lseek(fd, 1, os.SEEK_SET)
        os.write(fd, b'E')
        self.check(path.read_bytes(), b'HEllo!')
        for flag in (os.O_NONBLOCK, os.O_NOATIME):
            fcntl.fcntl(fd, fcntl.F_SETFL, flag)
            self.check(fcntl.fcntl(fd, fcntl.F_GETFL) & flag, flag)
        self.check(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE, os.O_RDWR)

    def test_o_noatime_is_the_owners(self):
        path = self.file()
        os.chmod(path, 0o666)
        os.seteuid(61001)
        try:
            self.check_errno(errno.EPERM, os.open, path, os.O_RDONLY | os.O_NOATIME)
            os.close(os.open(path, os.O_RDONLY))
        finally:
            os.seteuid(0)
        os.close(os.open(path, os.O_RDONLY | os.O_NOATIME))

    def test_fsync_of_everything(self):
        self.file(data=b'x')
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
            fd = self.open(self.top / 'f', flags)
            self.check(os.fsync(fd), None)
            self.check(os.fdatasync(fd), None)
        folder = self.open(self.top, os.O_RDONLY)
        self.check(os.fsync(folder), None)
        self.check(os.fdatasync(folder), None)
        os.mkfifo(self.top / 'p')
        self.check_errno(errno.EINVAL, os.fsync, self.open(self.top / 'p'))
        path = os.open(self.top / 'f', os.O_PATH)
        self.check_errno(errno.EBADF, os.fsync, path)
        os.close(path)

    def test_sendfile_and_splice(self):
        data = os.urandom(300_000)
        source = self.open(self.file('source', data), os.O_RDONLY)
        target = self.open(self.file('target'))
        sent = 0
        while sent < len(data):
            got = os.sendfile(target, source, sent, len(data) - sent)
            self.check_true(got > 0)
            sent += got
        self.check((self.top / 'target').read_bytes(), data)
        other = self.open(self.file('other', b'o' * 10))
        out, into = os.pipe()
        done = 0
        while done < len(data):
            moved = os.splice(source, into, 65536, offset_src=done)
            rest = moved
            while rest:
                rest -= os.splice(out, other, rest, offset_dst=5 + done + moved - rest)
            done += moved
        os.close(out)
        os.close(into)
        self.check((self.top / 'other').read_bytes(), b'o' * 5 + data)

    def test_a_pipe_with_a_name(self):
        path = self.top / 'p'
        os.mkfifo(path)
        found = []

        def read():
            with open(path, 'rb') as pipe:
                found.append(pipe.read())

        reader = threading.Thread(target=read)
        reader.start()
        with open(path, 'wb') as pipe:  # waits for the reader, as the reader does for us
            os.rename(path, self.top / 'q')
            pipe.write(b'x' * 100_000)
        reader.join()
        self.check(found, [b'x' * 100_000])
        self.check(os.stat(self.top / 'q').st_size, 0)
        self.check_errno(errno.ENXIO, os.open, self.top / 'q', os.O_WRONLY | os.O_NONBLOCK)
        fd = self.open(self.top / 'q', os.O_RDONLY | os.O_NONBLOCK)
        self.check(os.read(fd, 10), b'')
        self.check_errno(errno.ESPIPE, os.lseek, fd, 0, os.SEEK_SET)

    def test_a_socket_with_a_name(self):
        path = str(self.top / 's')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            os.link(path, path + '2')
            for name in (path, path + '2'):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(name)
                    peer, _ = server.accept()
                    with peer:
                        client.sendall(b'hello')
                        self.check(peer.recv(10), b'hello')
            with socket.socket(socket.AF_UNIX) as client:
                os.chmod(path, 0o600)
                os.seteuid(61001)
                try:
                    self.check_errno(errno.EACCES, client.connect, path)
                finally:
                    os.seteuid(0)
        with socket.socket(socket.AF_UNIX) as client:
            self.check_errno(errno.ECONNREFUSED, client.connect, path)
            os.unlink(path)
            self.check_errno(errno.ENOENT, client.connect, path)

    def test_extended_attributes_many_and_large(self):
        if self.kind == 'ext4':
            return  # keeps a block of them
        path = self.file()
        names = {f'user.number-{i}' for i in range(1000)}
        for name in names:
            os.setxattr(path, name, name.encode())
        self.check(set(os.listxattr(path)), names)
        for name in sorted(names)[::20]:
            self.check(os.getxattr(path, name), name.encode())
            os.removexattr(path, name)
        self.check(len(os.listxattr(path)), 950)
        os.mkdir(self.top / 'd')
        for size in (0, 1, 100, 4000, 4096, 20_000, 65_535, 65_536):
            for where in (path, self.top / 'd'):
                os.setxattr(where, 'user.value', b'v' * size)
                self.check(os.getxattr(where, 'user.value'), b'v' * size)
        self.check_errno(errno.E2BIG, os.setxattr, path, 'user.value', b'v' * 65_537)
        self.check(len(os.getxattr(path, 'user.value')), 65_536)
        for i in range(300):
            os.setxattr(self.top / 'd', f'user.{i:03}-' + 'n' * 220, b'')
        # Their names are more than a list may have.
        self.check_errno(errno.E2BIG, os.listxattr, self.top / 'd')
        self.check(os.getxattr(self.top / 'd', 'user.299-' + 'n' * 220), b'')
        for i in range(300):
            os.removexattr(self.top / 'd', f'user.{i:03}-' + 'n' * 220)
        self.check(os.listxattr(self.top / 'd'), ['user.value'])


if __name__ == '__main__':
    main(Streams)
