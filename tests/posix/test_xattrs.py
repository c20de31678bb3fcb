"""Extended attributes in all name spaces, and access lists with the kernel that checks them."""

from group import Group, main


class Xattrs(Group):
    tables = ('xattr', 'acl')


if __name__ == '__main__':
    main(Xattrs)
