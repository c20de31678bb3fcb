"""Times: what sets them exactly, which call moves which, and what reads do under each way of mounting."""

from group import Group, main


class Times(Group):
    tables = ('utimens', 'changes')

    def test_reads_under_relatime(self):
        self.run_table('atime_relatime')

    def test_reads_under_strictatime(self):
        with self.mounted_with('strictatime'):
            self.run_table('atime_strict')

    def test_reads_under_nodiratime(self):
        with self.mounted_with('relatime', 'nodiratime'):
            self.run_table('atime_nodir')

    def test_reads_under_noatime(self):
        with self.mounted_with('noatime'):
            self.run_table('atime_none')


if __name__ == '__main__':
    main(Times)
