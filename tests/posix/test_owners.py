"""Owners and modes: who may do what, and what calls make of set-id bits and groups."""

from group import Group, main


class Owners(Group):
    tables = ('chmod', 'chown', 'set_id', 'permissions', 'sticky')


if __name__ == '__main__':
    main(Owners)
