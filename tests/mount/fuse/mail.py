"""A mail load that knows what it was promised, as a mail server is: a message counts as taken when it, and then
its name, are durable, and as removed when that is.

Each process has a maildir of its own. It delivers (tmp, fsync, rename to new, fsync of the folder), reads (rename to
cur), and removes (unlink), with an fsync of the folder behind some of them, and notes each step in a journal outside
of the volume, before and after. After a crash check() says whether what is found is allowed:

- every message that was taken, and whose removal had not begun, is there, once, in new or cur, whole;
- no message whose removal was made durable is there;
- whatever has a name in new or cur is a whole message, also one that was not acknowledged;
- a message that was read, and its folder synchronised then, is in cur.
"""

import hashlib
import json
import os
import random


def message(writer, number, size):
    head = f'From: writer {writer}\nMessage-Id: <{writer}.{number}>\nLines: {size}\n\n'
    line = hashlib.sha256(f'{writer}.{number}'.encode()).hexdigest() + '\n'
    return (head + line * size).encode()


def sync_folder(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


class Mailbox:
    """Works until a call fails."""

    def __init__(self, folder, journal, writer, seed):
        self.folder, self.writer = folder, writer
        self.journal = os.open(journal, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self.random = random.Random(seed)
        self.number = 0
        self.new, self.cur = {}, {}  # name: size

    def note(self, *entry):
        os.write(self.journal, (json.dumps(entry) + '\n').encode())

    def path(self, box, name):
        return os.path.join(self.folder, box, name)

    def deliver(self):
        self.number += 1
        name = f'{self.number}.msg'
        size = self.random.choice((1, 10, 60, 300, 2000))
        self.note('begin', name, size)
        fd = os.open(self.path('tmp', name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        data = message(self.writer, self.number, size)
        while data:
            data = data[os.write(fd, data[:self.random.choice((500, 5000, 100000))]):]
        os.fsync(fd)
        os.close(fd)
        os.rename(self.path('tmp', name), self.path('new', name))
        sync_folder(os.path.join(self.folder, 'new'))
        self.note('taken', name, size)
        self.new[name] = size

    def read(self):
        name = self.random.choice(sorted(self.new))
        with open(self.path('new', name), 'rb') as file:
            assert file.read() == message(self.writer, int(name.split('.')[0]), self.new[name])
        self.cur[name] = self.new.pop(name)
        os.rename(self.path('new', name), self.path('cur', name))
        if self.random.random() < 0.5:
            sync_folder(os.path.join(self.folder, 'cur'))
            self.note('read', name)

    def remove(self):
        name = self.random.choice(sorted(self.cur))
        del self.cur[name]
        self.note('remove', name)
        os.unlink(self.path('cur', name))
        if self.random.random() < 0.5:
            sync_folder(os.path.join(self.folder, 'cur'))
            self.note('removed', name)

    def run(self):
        while True:
            pick = self.random.random()
            if pick < 0.5 or not self.new:
                self.deliver()
            elif pick < 0.8 or not self.cur:
                self.read()
            else:
                self.remove()


def prepare(folder):
    for box in ('tmp', 'new', 'cur'):
        os.makedirs(os.path.join(folder, box))


def check(folder, journal, writer):
    """How many messages had been taken, and how many are there. Raises AssertionError."""
    begun, taken, read, removing, removed = {}, {}, set(), set(), set()
    with open(journal, 'rb') as lines:
        for line in lines:
            if not line.endswith(b'\n'):
                break  # ended in the middle of a note
            what, name, *more = json.loads(line)
            if what == 'begin':
                begun[name] = more[0]
            elif what == 'taken':
                taken[name] = more[0]
            else:
                {'read': read, 'remove': removing, 'removed': removed}[what].add(name)
    found = {}
    for box in ('new', 'cur'):
        for name in os.listdir(os.path.join(folder, box)):
            assert name not in found, f'{name} is in new and in cur'
            assert name in begun, f'{name} was never written'
            found[name] = box
            with open(os.path.join(folder, box, name), 'rb') as file:
                content = file.read()
            whole = message(writer, int(name.split('.')[0]), begun[name])
            assert content == whole, f'{box}/{name}: {len(content)} of {len(whole)} bytes, or others'
    for name in taken:
        assert name in found or name in removing, f'{name} was acknowledged and is lost'
    for name in removed:
        assert name not in found, f'{name} was removed for good and is back'
    for name in read - removing:
        assert found.get(name) == 'cur', f'{name} was read, and is {found.get(name)}'
    return len(taken), len(found)
