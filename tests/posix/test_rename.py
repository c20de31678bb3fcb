"""rename in all its combinations."""

from group import Group, main


class Rename(Group):
    tables = ('rename', 'rename_matrix', 'rename_folders')


if __name__ == '__main__':
    main(Rename)
