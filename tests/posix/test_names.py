"""Calls that make, change and remove names, and paths that lead nowhere."""

from group import Group, main


class Names(Group):
    tables = ('names', 'path_errors')


if __name__ == '__main__':
    main(Names)
