"""Histories of calls that a process made on a volume, kept outside of it, and what a crash may have left of
them.

A Writer makes calls in folders of its own, one after the other, and notes each in its journal before it
makes it and again when it has returned. After the crash a History, read from that journal, says
whether what is found is allowed:

- names, links, types, modes: as they were after some prefix of the calls, which holds every call that
  had returned before a sync call that has returned was made;
- data: every block of a file holds, whole, a content that it was given at or after the file's last
  fsync, and a file that a rename put over another one has at least what it had then;
- sizes: no block below the size that was never written.
"""

import json
import os
import random
import stat
import struct

BLOCK = 4096
SYNCS = ('fsync', 'fsync_dir', 'sync')


def block_content(node, block, version):
    return struct.pack('<QQQQ', node, block, version, node ^ version) * (BLOCK // 32)


class Writer:
    """Makes random calls below `places` (folders that exist) until one fails. `volume` is the folder whose
    fsync makes everything durable."""

    def __init__(self, root, places, journal, seed, volume=None):
        self.root, self.places = root, places
        self.volume = volume or root
        self.random = random.Random(seed)
        self.journal = os.open(journal, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self.count = 0
        self.files = {}  # path: node
        self.folders = list(places)
        self.sizes = {}  # node: blocks
        self.next_name = 0

    def note(self, entry):
        os.write(self.journal, (json.dumps(entry) + '\n').encode())

    def call(self, kind, *arguments):
        index = self.count
        self.count += 1
        self.note([index, kind, *arguments])
        result = getattr(self, 'do_' + kind)(*arguments)
        self.note([index, 'returned', result])
        return result

    def path(self, name):
        return os.path.join(self.root, name)

    def do_create(self, name, mode):
        fd = os.open(self.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        number = os.fstat(fd).st_ino
        os.close(fd)
        return number

    def do_write(self, name, node, first, count, version):
        fd = os.open(self.path(name), os.O_WRONLY)
        data = b''.join(block_content(node, first + i, version) for i in range(count))
        assert os.pwrite(fd, data, first * BLOCK) == len(data)
        os.close(fd)

    def do_fsync(self, name, node, data_only):
        fd = os.open(self.path(name), os.O_RDONLY)
        (os.fdatasync if data_only else os.fsync)(fd)
        os.close(fd)

    def do_fsync_dir(self, name):
        fd = os.open(self.path(name), os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(fd)
        os.close(fd)

    def do_sync(self):
        self.do_fsync_dir(self.volume)

    def do_mkdir(self, name):
        os.mkdir(self.path(name), 0o755)
        return os.lstat(self.path(name)).st_ino

    def do_rmdir(self, name):
        os.rmdir(self.path(name))

    def do_unlink(self, name):
        os.unlink(self.path(name))

    def do_link(self, name, new):
        os.link(self.path(name), self.path(new))

    def do_symlink(self, target, name):
        os.symlink(target, self.path(name))
        return os.lstat(self.path(name)).st_ino

    def do_rename(self, name, new):
        os.rename(self.path(name), self.path(new))

    def do_chmod(self, name, mode):
        os.chmod(self.path(name), mode)

    def new_name(self):
        self.next_name += 1
        return f'{self.random.choice(self.folders)}/n{self.next_name}'

    def run(self):
        while True:
            self.step()

    def step(self):
        pick = self.random.random()
        files = sorted(self.files)
        if pick < 0.25 or not files:
            self.make_file(self.new_name())
        elif pick < 0.45:
            self.write_some(self.random.choice(files))
        elif pick < 0.60:
            name = self.random.choice(files)
            self.call('fsync', name, self.files[name], self.random.random() < 0.5)
        elif pick < 0.66:
            self.replace(self.random.choice(files))
        elif pick < 0.72:
            name, new = self.random.choice(files), self.new_name()
            self.call('rename', name, new)
            self.files[new] = self.files.pop(name)
        elif pick < 0.78:
            name = self.random.choice(files)
            self.call('unlink', name)
            del self.files[name]
        elif pick < 0.82:
            name, new = self.random.choice(files), self.new_name()
            self.call('link', name, new)
            self.files[new] = self.files[name]
        elif pick < 0.86:
            self.call('chmod', self.random.choice(files), self.random.randrange(0o1000))
        elif pick < 0.89:
            self.call('symlink', 't' * self.random.randrange(1, 200), self.new_name())
        elif pick < 0.93:
            name = self.new_name()
            self.call('mkdir', name)
            if self.random.random() < 0.5:
                self.call('rmdir', name)
            else:
                self.folders.append(name)
        elif pick < 0.99:
            self.call('fsync_dir', self.random.choice(self.folders))
        else:
            self.call('sync')

    def make_file(self, name):
        self.files[name] = node = self.count  # the call's index names the file in its content
        self.call('create', name, self.random.choice((0o600, 0o644)))
        self.sizes[node] = 0
        if self.random.random() < 0.8:
            self.write_some(name)

    def write_some(self, name):
        node = self.files[name]
        size = self.sizes[node]
        first = self.random.randrange(size + 1) if self.random.random() < 0.5 else size
        count = self.random.choice((1, 1, 2, 8, 40))
        self.call('write', name, node, first, count, self.count)
        self.sizes[node] = max(size, first + count)

    def replace(self, name):
        """What editors do: a new file takes the name of the old; with and without fsync."""
        new = self.new_name()
        self.make_file(new)
        if self.random.random() < 0.5:
            self.call('fsync', new, self.files[new], False)
        self.call('rename', new, name)
        if self.files[new] != self.files[name]:
            self.files[name] = self.files.pop(new)
        # Two names of one file: rename does nothing.


class Node:
    """`made` is the index of the call that made it; `number` its inode's, None when that call did not
    return: then any number will do."""

    def __init__(self, made, kind, number, mode, target=''):
        self.made, self.kind, self.number = made, kind, number
        self.mode, self.target = mode, target


class History:
    def __init__(self, journal, places):
        self.places = places
        self.calls, self.returned = [], {}
        with open(journal, 'rb') as lines:
            for line in lines:
                if not line.endswith(b'\n'):
                    break  # the writer was ended in the middle of a note
                index, kind, *arguments = json.loads(line)
                if kind == 'returned':
                    self.returned[index] = arguments[0]
                else:
                    self.calls.append((kind, arguments))

    def promised(self):
        """How many calls the result must hold at the least."""
        syncs = [i for i, (kind, _) in enumerate(self.calls) if kind in SYNCS and i in self.returned]
        return syncs[-1] if syncs else 0

    def check(self, root):
        """Raises AssertionError when what is below `root` cannot be what a crash left."""
        found = self.look(root)
        least = self.promised()
        names = {}  # path: Node
        match = None
        overs = {}  # file: index of the last rename that put it over another one
        for index in range(len(self.calls) + 1):
            if index >= least and self.same(names, found):
                match = index
                break
            if index < len(self.calls):
                self.apply(index, names, overs)
        if match is None:
            raise AssertionError(
                f'no state after {least} to {len(self.calls)} calls is the one found; after {least}: '
                f'{self.difference(least, found)}; after all: '
                f'{self.difference(len(self.calls), found)}')
        for path, node in names.items():
            if node.kind == 'file':
                self.check_data(os.path.join(root, path), node.made, overs.get(node.made, 0))
        return len(self.calls), least, match

    def look(self, root):
        found = {}
        for place in self.places:
            for folder, folders, files in os.walk(os.path.join(root, place)):
                for name in folders + files:
                    path = os.path.join(folder, name)
                    info = os.lstat(path)
                    mode = stat.S_IMODE(info.st_mode)
                    relative = os.path.relpath(path, root)
                    if stat.S_ISDIR(info.st_mode):
                        found[relative] = ('dir', info.st_ino, mode, 0, '')
                    elif stat.S_ISLNK(info.st_mode):
                        found[relative] = ('link', info.st_ino, mode, 1, os.readlink(path))
                    else:
                        found[relative] = ('file', info.st_ino, mode, info.st_nlink, '')
        return found

    def apply(self, index, names, overs):
        kind, arguments = self.calls[index]
        number = self.returned.get(index)
        if kind == 'create':
            names[arguments[0]] = Node(index, 'file', number, arguments[1])
        elif kind == 'mkdir':
            names[arguments[0]] = Node(index, 'dir', number, 0o755)
        elif kind == 'symlink':
            names[arguments[1]] = Node(index, 'link', number, 0o777, arguments[0])
        elif kind in ('unlink', 'rmdir'):
            del names[arguments[0]]
        elif kind == 'link':
            names[arguments[1]] = names[arguments[0]]
        elif kind == 'chmod':
            names[arguments[0]].mode = arguments[1]
        elif kind == 'rename':
            source, target = arguments
            if names.get(target) is not names[source]:
                if target in names:
                    overs[names[source].made] = index
                names[target] = names.pop(source)

    def expected(self, names):
        links = {}
        for node in names.values():
            links[id(node)] = links.get(id(node), 0) + 1
        return {path: (node.kind, node.number, node.mode,
                       0 if node.kind == 'dir' else links[id(node)], node.target)
                for path, node in names.items()}

    def same(self, names, found):
        if names.keys() != found.keys():
            return False
        for path, facts in self.expected(names).items():
            number = facts[1] if facts[1] is not None else found[path][1]
            if (facts[0], number, *facts[2:]) != found[path]:
                return False
        return True

    def difference(self, count, found):
        names = {}
        for index in range(count):
            self.apply(index, names, {})
        expected = self.expected(names)
        return {'missing': sorted(set(expected) - set(found))[:5],
                'extra': sorted(set(found) - set(expected))[:5],
                'changed': [(path, expected[path], found[path]) for path in expected
                            if path in found and expected[path] != found[path]][:5]}

    def check_data(self, path, node, renamed_over):
        # Calls before `floor` are covered by a sync of this file, or of all.
        floor = renamed_over
        for index, (kind, arguments) in enumerate(self.calls):
            if index in self.returned and (kind == 'sync' or
                                           (kind == 'fsync' and arguments[1] == node)):
                floor = max(floor, index)
        allowed, size_floor = {}, 0  # block: versions
        for index, (kind, arguments) in enumerate(self.calls):
            if kind != 'write' or arguments[1] != node:
                continue
            _, _, first, count, version = arguments
            for block in range(first, first + count):
                if index < floor:
                    allowed[block] = [version]
                    size_floor = max(size_floor, block + 1)
                else:
                    allowed.setdefault(block, []).append(version)
        with open(path, 'rb', buffering=0) as file:
            content = file.read()
            while more := file.read():
                content += more
        if len(content) < size_floor * BLOCK or len(content) % BLOCK != 0:
            raise AssertionError(f'{path} has {len(content)} bytes, synced were {size_floor * BLOCK}; '
                                 f'{self.story(node, floor)}')
        for block in range(len(content) // BLOCK):
            data = content[block * BLOCK:(block + 1) * BLOCK]
            if not any(data == block_content(node, block, version)
                       for version in allowed.get(block, [])):
                raise AssertionError(
                    f'{path} block {block}: found {struct.unpack("<QQQQ", data[:32])}, allowed '
                    f'versions {allowed.get(block)}; {self.story(node, floor)}')

    def story(self, node, floor):
        """What happened to a file, for a person."""
        names, lines = {}, []
        for index, (kind, arguments) in enumerate(self.calls):
            before = {path for path, known in names.items() if known.made == node}
            self.apply(index, names, {})
            touched = before | {path for path, known in names.items() if known.made == node}
            if touched.intersection(str(argument) for argument in arguments) or kind == 'sync':
                state = '' if index in self.returned else ' (did not return)'
                lines.append(f'{index} {kind} {arguments}{state}')
        return f'file {node}, covered up to call {floor} of {len(self.calls)}: ' + '; '.join(lines)
