"""System calls on a mounted volume: one that lives in memory, over each transport, and one in an image, whose content is
afterwards compared over a remount and a crash."""

import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

import mount  # noqa: E402
from calls_attributes import Attributes  # noqa: E402
from calls_data import Data  # noqa: E402
from calls_names import Names  # noqa: E402


class OneVolume(mount.MountTest):
    """All tests of a class share a mount, each has a folder of its own on it."""

    memory = False
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.holder = mount.MountTest()
        cls.holder.limit = 280
        cls.holder.setUp()
        cls.mounted = cls.holder.volume('512M', memory=cls.memory).mount(*cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.holder.doCleanups()

    def setUp(self):
        self.top = self.mounted.path / self.id().rsplit('.', 1)[-1]
        self.top.mkdir()


class InMemory(Names, Attributes, Data, OneVolume):
    memory = True


class OverDevFuse(Names, Attributes, Data, OneVolume):
    memory = True
    options = ('io_uring=off',)


class OnAnImage(Names, Attributes, Data, OneVolume):
    def test_zz_what_all_tests_left_stays(self):
        os.rmdir(self.top)
        self.mounted.check_everything_stays()


if __name__ == '__main__':
    mount.main()
