"""Tables of cases. A line is

    setup | call | result | after | note

* setup and call: calls of verbs.py, divided by `;`, each perhaps with `as USER` in front. Those of the setup must succeed.
* result: an errno or what the last call answers (0: nothing but success); the calls before it must succeed. Several results, divided by
  `;`, are of all calls.
* after: what the call has changed, `PATH TOKEN...` divided by `;`. All that is not named must be as before: every attribute,
  content, target and extended attribute of every object of the row's folder (but atime, unless a token speaks of it).
      m c a       mtime, ctime, atime are the time of the call        !a   atime is as before
      c?          ctime may be that: file systems differ
      mode= uid= gid= nlink= size= data= target= mtime= atime= x:NAME=   the new value; data= sets size too, size= alone leaves the content open; x:NAME- is gone
      gone        there is nothing any more
      new TYPE    there is something new: nlink 1 (a folder 2), of the caller, size 0, born during the call, unless tokens say more
      =OLD        it is what was OLD, which is not there any more, with all below
      @OLD        it is another name of OLD
  Other names of one object change with it.
* note: why, where it is not plain. A line may begin with `NAME,...:`, kinds of file systems (scalefs, ext4, tmpfs,
  local for all others): it holds only there, and must have a note.

`given | setup` is in front of the setups of all rows below it. `matrix` lines: `matrix | call with $P | result for each column`, below a line `columns | name: setup ; path | ...`, see
expand_matrix(). Each row has a folder of its own, which is `.`; the umask is 022.
"""

import errno
import os
import re
import stat
import time

from verbs import IDS, USERS, State, Verbs, expand, number
import view

COARSE = 5  # CLOCK_REALTIME_COARSE
HOUR = 3_600_000_000_000
KINDS = ('scalefs', 'local', 'ext4', 'tmpfs')


class Row:
    def __init__(self, where, setup, call, result, after='', note=''):
        self.where = where
        self.setup, self.calls = calls(setup), calls(call)
        self.results = [word.strip() for word in result.split(';')]
        self.after = {}
        for entry in after.split(';'):
            if entry.split():
                path, *tokens = entry.split()
                self.after[expand(path)] = tokens
        self.note = note
        self.text = f'{setup} | {call} | {result} | {after}'
        assert self.calls, where
        assert len(self.results) in (1, len(self.calls)), where


def calls(text):
    return [part.split() for part in text.split(';') if part.strip()]


def read_table(path, kind):
    """The rows that hold on a file system of this kind."""
    rows, columns, given = [], [], ''
    for count, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        where = f'{path.name}:{count}'
        only = re.match(r'([\w,]+):\s', line)
        if only:
            kinds = only[1].split(',')
            assert set(kinds) <= set(KINDS), f'{where}: {only[1]} is no kind'
            line = line[only.end():]
        parts = [part.strip() for part in re.split(r'\s\|(?=\s)', f' {line} ')]
        if parts[0] == 'columns':
            columns = [column(part) for part in parts[1:]]
            continue
        if parts[0] == 'given':
            given = parts[1]
            continue
        if only:
            assert parts[0] == 'matrix' or len(parts) >= 5, f'{where}: a case that differs needs a note'
            if kind not in kinds and not ('local' in kinds and kind != 'scalefs'):
                continue
        if parts[0] == 'matrix':
            rows += expand_matrix(where, columns, parts, given)
            continue
        assert 3 <= len(parts) <= 5, f'{where}: {len(parts)} columns'
        rows.append(Row(where, f'{given} ; {parts[0]}', *parts[1:]))
    return rows


def column(text):
    """`name: setup ; setup : path`"""
    name, setup, path = (part.strip() for part in text.split(' : '))
    return name, setup, path


def expand_matrix(where, columns, parts, given=''):
    """A row for each column: `matrix | call | result...` or `matrix | setup : call | result...`, `-` where the combination is no case. A result that is not an errno may
    have what changes behind a comma: `0, $P c mode=600`."""
    _, call, *results = parts
    own, _, call = f' {call}'.rpartition(' : ')
    assert len(results) == len(columns), f'{where}: {len(results)} results for {len(columns)} columns'
    rows = []
    for (name, setup, path), result in zip(columns, results):
        if result == '-':
            continue
        user = ''
        if setup.startswith('by '):
            user, _, setup = setup[3:].partition(' ')
            user = f'as {user} '
        result, _, after = result.partition(',')
        rows.append(Row(f'{where} {name}', f'{given} ; {own} ; {setup}', user + call.replace('$P', path), result,
                        after.replace('$P', path)))
    return rows


class Running:
    """A row under way."""

    def __init__(self, row, folder):
        self.row, self.folder = row, folder
        self.state = State()
        self.verbs = Verbs(self.state)
        self.dirs, self.objects = {}, {}
        self.wrong = []
        self.asked = 0

    def one(self, words):
        """Makes a call as whoever makes it; what it answers, or the name of its errno."""
        user = 'root'
        if words[0] == 'as':
            user, words = words[1], words[2:]
        uid, gid, groups = USERS[user]
        before = os.getgroups()
        if user != 'root':
            os.setgroups(groups)
            os.setegid(gid)
            os.seteuid(uid)
        try:
            answer = self.verbs.call(words)
        except OSError as error:
            answer = errno.errorcode[error.errno]
        finally:
            if user != 'root':
                os.seteuid(0)
                os.setegid(0)
                os.setgroups(before)
        return '0' if answer is None else '""' if answer == '' else str(answer)

    def prepare(self):
        os.mkdir(self.folder)
        os.chdir(self.folder)
        os.umask(0o022)
        for words in self.row.setup:
            answer = self.one(words)
            if answer in errno.errorcode.values():
                self.wrong.append(f'setup: {" ".join(words)}: {answer}')
                return
        # No reading moves an atime that lies ahead of the other times (unless it is strict).
        ahead = time.time_ns() + HOUR
        paths = view.view()
        for path, found in paths.items():
            if not any(words[0] == 'utimens' and expand(words[1]) == path for words in self.row.setup):
                os.utime(path, ns=(ahead, found['mtime']), follow_symlinks=False)
            self.objects[path] = os.open(path, os.O_PATH | os.O_NOFOLLOW)
            if found['type'] == 'dir':
                self.dirs[path] = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME)
                os.listdir(self.dirs[path])

    def run(self, direct):
        if self.wrong:
            return
        os.chdir(self.folder)
        os.umask(0o022)
        self.before = view.view()
        row = self.row
        self.began = time.clock_gettime_ns(COARSE)
        answers = [self.one(words) for words in row.calls]
        self.ended = time.time_ns()
        os.umask(0o022)
        expected = row.results if len(row.results) == len(answers) else ['0'] * (len(answers) - 1) + row.results
        for words, answer, wanted in zip(row.calls, answers, expected):
            self.asked += 1
            if wanted != answer and not (wanted == '0' and answer.isdigit() and self.counts(words)):
                self.wrong.append(f'{" ".join(words)}: {answer}, not {wanted}')
        if self.wrong:
            return
        self.caller = USERS[row.calls[-1][1] if row.calls[-1][0] == 'as' else 'root']
        self.after = view.view()
        self.compare()
        asked, wrong = view.disagreements(self.after, self.dirs, self.objects, direct)
        self.asked += asked
        self.wrong += wrong

    @staticmethod
    def counts(words):
        """Verbs that answer a count of bytes, where 0 in a table only says that they succeed."""
        verb = words[2] if words[0] == 'as' else words[0]
        return verb in ('write', 'writev', 'direct_write', 'copy')

    def compare(self):
        expected = {path: dict(found) for path, found in self.before.items()}
        moved, claimed = {}, {}
        for path, tokens in self.row.after.items():
            for token in tokens:
                if token[0] == '=' or token[0] == '@':
                    moved[path] = token
        elsewhere = {expand(token[1:]) for token in moved.values() if token[0] == '='}
        for path, token in moved.items():
            old = expand(token[1:])
            for place in [p for p in self.before if p == old or (token[0] == '=' and p.startswith(old + '/'))]:
                if token[0] == '=' and path + place[len(old):] != place and (
                        place == old or place not in elsewhere):
                    claimed.setdefault(path + place[len(old):], dict(self.before[place]))
        for path, token in moved.items():
            old = expand(token[1:])
            if token[0] == '=':
                for place in [p for p in expected if p == old or p.startswith(old + '/')]:
                    if place not in claimed:
                        del expected[place]
            else:
                claimed[path] = dict(self.before[old])
        expected.update(claimed)
        named = {}
        for path, tokens in self.row.after.items():
            if 'gone' in tokens:
                for place in [p for p in expected if p == path or p.startswith(path + '/')]:
                    del expected[place]
            elif 'new' in tokens:
                expected[path] = None
            elif path in expected:
                named[expected[path]['ino']] = tokens
        for path in sorted(set(expected) | set(self.after)):
            self.asked += 1
            found = self.after.get(path)
            if path not in expected:
                self.wrong.append(f'{path} should not be there')
            elif found is None:
                self.wrong.append(f'{path} is not there')
            elif expected[path] is None:
                self.check_new(path, found, self.row.after[path])
            else:
                tokens = self.row.after.get(path) or named.get(expected[path]['ino'], [])
                self.check(path, expected[path], found, [t for t in tokens if t[0] not in '=@'])

    def now(self, path, found, *fields):
        for field in fields:
            if field in found and not self.began <= found[field] <= self.ended:
                self.wrong.append(f'{path}: {field} is not the time of the call, but '
                                  f'{(found[field] - self.began) / 1e9:.6f} s from it')

    def check_new(self, path, found, tokens):
        kind = tokens[tokens.index('new') + 1]
        tokens = [t for t in tokens if t not in ('new', kind)]
        wanted = {'type': kind, 'nlink': 2 if kind == 'dir' else 1, 'uid': self.caller[0],
                  'gid': self.caller[1], 'xattrs': {}}
        if kind == 'file':
            wanted.update(size=0, data=b'')
        values = dict(found)
        self.apply(path, wanted, tokens, found)
        for field, value in wanted.items():
            if field in values and values[field] != value:
                self.wrong.append(f'{path}: {shown(field, values[field])}, not {shown(field, value)}')
        if kind != 'symlink' and 'mode' not in wanted:
            self.wrong.append(f'{path}: the table does not say its mode, {found["mode"]:o}')
        self.now(path, found, *[f for f in ('mtime', 'ctime', 'btime') if f not in wanted])

    def check(self, path, before, found, tokens):
        wanted = {field: value for field, value in before.items() if field not in ('atime',)}
        self.apply(path, wanted, tokens, found)
        self.asked += len(tokens)
        for field, value in wanted.items():
            if found.get(field) != value:
                self.wrong.append(f'{path}: {shown(field, found.get(field))}, not {shown(field, value)}')
        if '!a' in tokens and found['atime'] != before['atime']:
            self.wrong.append(f'{path}: atime has changed')

    def apply(self, path, wanted, tokens, found):
        times = {'m': 'mtime', 'c': 'ctime', 'a': 'atime'}
        for token in tokens:
            key, equals, value = token.partition('=')
            if token == 'c?':
                if found['ctime'] != wanted.pop('ctime'):
                    self.now(path, found, 'ctime')
            elif token in times:
                self.now(path, found, times[token])
                wanted.pop(times[token], None)
            elif token.startswith('x:'):
                wanted['xattrs'] = dict(wanted['xattrs'])
                if token[-1] == '-' and not equals:
                    wanted['xattrs'].pop(expand(token[2:-1]), None)
                else:
                    held = found['xattrs'].get(expand(key[2:]))
                    wanted['xattrs'][expand(key[2:])] = held if value == '*' and held is not None else os.fsencode(value)
            elif key == 'mode':
                wanted[key] = int(value, 8)
            elif key in ('uid', 'gid'):
                wanted[key] = IDS[value] if value in IDS else int(value)
            elif key in ('nlink', 'size'):
                wanted[key] = number(value)
                if key == 'size':
                    wanted.pop('data', None)
            elif key == 'data':
                data = os.fsencode(value)
                times_ = re.fullmatch(r'(.)\*(\w+)', value)
                data = os.fsencode(times_[1]) * number(times_[2]) if times_ else data.replace(b'\\0', b'\0')
                wanted.update(data=data, size=len(data))
            elif key == 'dev':
                wanted['rdev'] = os.makedev(*map(int, value.split(',')))
            elif key == 'target':
                wanted.update(target=expand(value), size=len(expand(value)))
            elif key in ('mtime', 'atime'):
                seconds, _, rest = value.partition('.')
                wanted[key] = int(seconds) * 1_000_000_000 + int((rest or '0').ljust(9, '0'))
            elif token != '!a':
                raise AssertionError(f'{self.row.where}: {token}')

    def finish(self):
        os.chdir('/')
        self.state.close()
        for fd in [*self.dirs.values(), *self.objects.values()]:
            os.close(fd)


def shown(field, value):
    if value is None:
        return f'no {field}'
    if field == 'mode':
        return f'mode {stat.filemode(value)[1:]} {value:o}'
    return f'{field} {value if len(repr(value)) < 200 else repr(value)[:200]}'


def run_rows(rows, top, direct, batch=40):
    """Runs rows, each in a folder of its own below `top`; yields (row, how many assertions, findings). Rows are set up some at a
    time, so that one wait is enough for the clock to move on before their calls."""
    for start in range(0, len(rows), batch):
        under_way = [Running(row, f'{top}/{start + i}') for i, row in enumerate(rows[start:start + batch])]
        try:
            for running in under_way:
                running.prepare()
            wait_for_the_clock()
            for running in under_way:
                running.run(direct)
                yield running.row, running.asked, running.wrong
        finally:
            for running in under_way:
                running.finish()


def wait_for_the_clock():
    """Times are those of the kernel's tick; what comes later shall have a later one."""
    before = time.clock_gettime_ns(COARSE)
    while time.clock_gettime_ns(COARSE) <= before + 4_000_000:
        time.sleep(0.002)
