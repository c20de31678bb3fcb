"""Building and keeping a project on a volume: make with several compilers, and again with nothing to do; git with clones, branches,
worktrees, packs and checks; all of it there and sound behind an unmount and a kill."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import MountTest, main, run  # noqa: E402

MODULES = int(os.environ.get('SCALEFS_BUILD_MODULES', 40))
GIT = ['git', '-c', 'user.name=Test', '-c', 'user.email=test@example.com', '-c', 'safe.directory=*', '-c', 'core.fsync=all',
       '-c', 'init.defaultBranch=main', '-c', 'protocol.file.allow=always']
MAKEFILE = '''CFLAGS = -O1 -MMD -MP -I.
MODULES := $(patsubst %.c,%,$(notdir $(wildcard src/*.c)))
all: program
obj lib:
\tmkdir -p $@
obj/%.o: src/%.c | obj
\t$(CC) $(CFLAGS) -c -o $@ $<
lib/all.a: $(MODULES:%=obj/%.o) | lib
\tar rcs $@.new $^ && mv $@.new $@
program: main.c lib/all.a
\t$(CC) $(CFLAGS) -o $@ $^
clean:
\trm -rf obj lib program *.d
-include obj/*.d
'''


def make_project(top):
    (top / 'src').mkdir(parents=True)
    (top / 'Makefile').write_text(MAKEFILE)
    (top / 'all.h').write_text('#define VALUE 1\n' + ''.join(f'int module{i}(int);\n' for i in range(MODULES)))
    for i in range(MODULES):
        (top / 'src' / f'module{i}.c').write_text(f'#include "all.h"\nint module{i}(int a) {{ return a + VALUE * {i}; }}\n')
    (top / 'main.c').write_text('#include <stdio.h>\n#include "all.h"\nint main() { int a = 0;\n' +
                                ''.join(f'a = module{i}(a);\n' for i in range(MODULES)) + 'printf("%d\\n", a); return 0; }\n')


class Building(MountTest):
    limit = 240

    def make(self, top, *words):
        return run('make', '-C', top, '-j4', *words, timeout=200).stdout

    def check_program(self, top, factor=1):
        self.assertEqual(run(top / 'program').stdout, f'{factor * MODULES * (MODULES - 1) // 2}\n')

    def test_make(self):
        for options in (('io_uring=off',), ('strict_open',)):
            volume = self.volume('256M', options[0]).mount(*options)
            top = volume.path / 'project'
            make_project(top)
            self.make(top)
            self.check_program(top)
            # Times are exact: nothing is older than what it was made of.
            self.assertIn('Nothing to be done', self.make(top))
            volume.check_everything_stays()
            self.assertIn('Nothing to be done', self.make(top))
            for name in ('module3.c', 'module4.c'):
                os.utime(top / 'src' / name)
            again = self.make(top)
            self.assertEqual(again.count(' -c '), 2, again)
            if options[0] == 'io_uring=off':
                (top / 'all.h').write_text((top / 'all.h').read_text().replace('VALUE 1', 'VALUE 2'))
                self.assertEqual(self.make(top).count(' -c '), MODULES)
                self.check_program(top, 2)
            self.make(top, 'clean')
            self.assertEqual(sorted(os.listdir(top)), ['Makefile', 'all.h', 'main.c', 'src'])
            volume.unmount()
            volume.fsck()

    def git(self, where, *words):
        return run(*GIT, '-C', where, *words, timeout=200).stdout

    def test_git(self):
        volume = self.volume('512M').mount()
        top = volume.path / 'origin'
        make_project(top)
        self.git(top, 'init', '-q')
        self.git(top, 'add', '-A')
        self.git(top, 'commit', '-qm', 'first')
        for i in range(5):
            self.git(top, 'switch', '-qc', f'branch-{i}', 'main')
            (top / 'src' / f'module{i}.c').write_text(f'/* {i} */\n')
            os.rename(top / 'src' / f'module{i + 10}.c', top / 'src' / f'renamed{i}.c')
            self.git(top, 'add', '-A')
            self.git(top, 'commit', '-qm', f'change {i}')
        self.git(top, 'switch', '-q', 'main')
        self.git(top, 'merge', '-q', '-m', 'octopus', *(f'branch-{i}' for i in range(5)))
        self.git(top, 'worktree', 'add', '-q', volume.path / 'beside', 'branch-3')
        (volume.path / 'beside' / 'new').write_text('new\n')
        self.git(volume.path / 'beside', 'add', '-A')
        self.git(volume.path / 'beside', 'commit', '-qm', 'in a worktree')
        for name, more in (('local', []), ('hard', ['--local']), ('packed', ['--no-local']), ('bare', ['--bare', '--no-local'])):
            self.git(volume.path, 'clone', '-q', *more, top, volume.path / name)
        self.git(top, 'stash', 'list')
        self.git(top, 'gc', '-q', '--aggressive', '--prune=now')
        self.git(volume.path / 'packed', 'pull', '-q', '--rebase')
        (volume.path / 'packed' / 'pushed').write_text('pushed\n')
        self.git(volume.path / 'packed', 'add', '-A')
        self.git(volume.path / 'packed', 'commit', '-qm', 'to push')
        self.git(volume.path / 'packed', 'push', '-q', '../bare', 'HEAD:refs/heads/pushed')
        volume.fsync_root()
        before = self.git(top, 'rev-parse', 'HEAD')
        (top / 'last').write_text('last\n')
        self.git(top, 'add', '-A')
        self.git(top, 'commit', '-qm', 'last')
        after = self.git(top, 'rev-parse', 'HEAD')
        volume.kill()
        volume.fsck()
        volume.mount()
        for lock in (top / '.git').rglob('*.lock'):  # as git asks to
            lock.unlink()
        # Git does not sync the folder where a branch is renamed into its place: the last commit is there or not, but whole.
        self.assertIn(self.git(top, 'rev-parse', 'HEAD'), (before, after))
        for name in ('origin', 'beside', 'local', 'hard', 'packed', 'bare'):
            self.git(volume.path / name, 'fsck', '--full', '--strict')
        self.assertEqual(self.git(volume.path / 'packed', 'rev-parse', 'HEAD'), self.git(volume.path / 'bare', 'rev-parse', 'pushed'))
        self.git(top, 'worktree', 'remove', '--force', volume.path / 'beside')
        self.git(top, 'reset', '-q', '--hard')
        self.assertEqual(self.git(top, 'status', '--porcelain'), '')
        volume.check_everything_stays()


if __name__ == '__main__':
    main()
