"""Content of files: reading, writing, truncating, holes, allocation and copies."""

from group import Group, main


class Data(Group):
    tables = ('data', 'ranges')

    def test_where_the_kernel_asks_at_each_open(self):
        """strict_open: OPEN, CREATE and RELEASE come, and truncate when they are asked to."""
        if self.kind != 'scalefs':
            return
        with self.mounted_with('strict_open'):
            for name in ('data', 'names', 'set_id', 'changes', 'objects', 'acl'):
                self.run_table(name)


if __name__ == '__main__':
    main(Data)
