#!/usr/bin/env python3
"""The statistics of scalefs-bench against values from tables, and against counting all cases."""
import itertools
import random
import unittest

import bench_modules  # noqa: F401
from scalefs_bench import statistics


def signs_counted(differences):
    """The signed-rank test's p by its definition: over all ways of giving signs."""
    sizes = sorted(abs(d) for d in differences if d)
    ranks = [sum(i + 1 for i, s in enumerate(sizes) if s == size) / sizes.count(size) for size in sizes]
    observed = sum(r for d in differences if d > 0 for r in [ranks[sizes.index(abs(d))]])
    sums = [sum(r for r, positive in zip(ranks, signs) if positive)
            for signs in itertools.product((False, True), repeat=len(ranks))]
    return sum(total <= observed for total in sums) / len(sums)


class Values(unittest.TestCase):
    def test_median(self):
        self.assertEqual(statistics.median([3, 1, 2]), 2)
        self.assertEqual(statistics.median([4, 1, 2, 3]), 2.5)
        self.assertEqual(statistics.median([7]), 7)

    def test_quantile_is_linear_between_values(self):
        self.assertEqual(statistics.quantile([0, 10, 20, 30], 0.25), 7.5)
        self.assertEqual(statistics.quantile([0, 10], 0), 0)
        self.assertEqual(statistics.quantile([0, 10], 1), 10)

    def test_quantile_of_infinities(self):
        self.assertEqual(statistics.median([float("-inf")] * 4), float("-inf"))

    def test_relative_spread(self):
        self.assertAlmostEqual(statistics.relative_spread([95, 100, 110]), 0.15)
        self.assertEqual(statistics.relative_spread([0, 0]), 0)


class Tests(unittest.TestCase):
    def test_sign_test(self):
        self.assertAlmostEqual(statistics.sign_test([-1] * 7 + [2]), 9 / 256)
        self.assertEqual(statistics.sign_test([-1] * 5 + [0]), 1 / 32)
        self.assertEqual(statistics.sign_test([0, 0]), 1)

    def test_signed_ranks_of_the_table(self):
        # 8 is the critical value for 10 pairs at 0.05, two-sided: 25 of 1024 ways give no larger sum.
        self.assertAlmostEqual(statistics.signed_rank_test([8 if k == 8 else -k for k in range(1, 11)]), 25 / 1024)
        # 2 for 7 pairs: 3 of 128.
        self.assertAlmostEqual(statistics.signed_rank_test([-1, 2, -3, -4, -5, -6, -7]), 3 / 128)

    def test_signed_ranks_of_extremes(self):
        self.assertEqual(statistics.signed_rank_test([-0.1] * 5), 1 / 32)
        self.assertEqual(statistics.signed_rank_test([0.1] * 5), 1)
        self.assertEqual(statistics.signed_rank_test([0, 0, 0]), 1)
        self.assertEqual(statistics.signed_rank_test([-float("inf")] * 6), 1 / 64)

    def test_signed_ranks_by_counting(self):
        for seed in range(60):
            chance = random.Random(seed)
            values = [chance.randint(-4, 4) for _ in range(chance.randint(1, 9))]
            if any(values):
                self.assertAlmostEqual(statistics.signed_rank_test(values), signs_counted(values), msg=f"seed {seed}: {values}")

    def test_many_pairs_are_nearly_normal(self):
        chance = random.Random(5)
        values = [chance.gauss(-0.15, 1) for _ in range(100)]
        exact = statistics.signed_rank_test(values)
        more = statistics.signed_rank_test(values + [chance.choice((-1e-9, 1e-9))])
        self.assertAlmostEqual(exact, more, delta=0.01)

    def test_least_pairs(self):
        self.assertEqual(statistics.least_pairs(0.05), 5)
        self.assertEqual(statistics.least_pairs(0.01), 7)


class Interval(unittest.TestCase):
    def test_of_equal_values(self):
        self.assertEqual(statistics.bootstrap_interval([3.0] * 6), (3, 3))

    def test_of_few_values_is_all_of_them(self):
        self.assertEqual(statistics.bootstrap_interval([1, 2, 3]), (1, 3))

    def test_lies_around_the_median_and_narrows(self):
        few, many = (statistics.bootstrap_interval(list(range(count))) for count in (11, 101))
        self.assertEqual(few, (2, 8))
        self.assertLess((many[1] - many[0]) / 101, (few[1] - few[0]) / 11)
        self.assertTrue(many[0] < 50 < many[1])

    def test_by_resampling(self):
        chance = random.Random(3)
        values = [chance.gauss(0, 1) for _ in range(15)]
        medians = sorted(statistics.median(chance.choices(values, k=15)) for _ in range(4000))
        low, high = statistics.bootstrap_interval(values)
        # Some values next to it will do: what is drawn is drawn.
        ordered = sorted(values)
        for exact, drawn in ((low, medians[100]), (high, medians[-100])):
            self.assertLessEqual(abs(ordered.index(exact) - ordered.index(drawn)), 1)


class Histograms(unittest.TestCase):
    def test_merge(self):
        self.assertEqual(statistics.merge_histograms([[[1, 2], [4, 1]], [[2, 5], [4, 1]]]), [[1, 2], [2, 5], [4, 2]])
        self.assertEqual(statistics.merge_histograms([]), [])

    def test_quantile(self):
        histogram = [[10, 50], [20, 0], [30, 49], [40, 1]]
        for share, bound in ((0.5, 10), (0.51, 30), (0.99, 30), (0.999, 40), (1, 40)):
            self.assertEqual(statistics.histogram_quantile(histogram, share), bound, share)
        self.assertIsNone(statistics.histogram_quantile([], 0.5))


if __name__ == "__main__":
    unittest.main()
