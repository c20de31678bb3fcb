"""What the tests of system calls on a mounted volume share."""

import errno


class Calls:
    """Mixed into a MountTest that provides self.top, a folder of the test's own on the mount."""

    def assert_errno(self, code, call, *arguments, **more):
        with self.assertRaises(OSError) as caught:
            call(*arguments, **more)
        self.assertEqual(errno.errorcode[caught.exception.errno], errno.errorcode[code])
