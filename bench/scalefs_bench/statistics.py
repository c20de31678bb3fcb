"""Statistics of paired repetitions: medians, bootstrap intervals, tests. Exact, without random numbers."""
import itertools
import math

# Above so many pairs the signed ranks' distribution is as good as normal, and its table large.
_EXACT_PAIRS_MAX = 100


def median(values):
    return quantile(values, 0.5)


def quantile(values, share):
    """Linear between the ordered values; share in 0..1. Of at least one value."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    if ordered[below] == ordered[above]:
        return ordered[below]
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def relative_spread(values):
    """(largest - smallest) / median; 0 where the median is 0."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def binomial_tail(successes, trials):
    """The probability of at least so many heads in so many throws of a fair coin."""
    return sum(math.comb(trials, k) for k in range(successes, trials + 1)) / 2 ** trials


def sign_test(differences):
    """One-sided: how probable so many negative differences are, or more, if either sign is as likely. Zeros do not count."""
    negative = sum(d < 0 for d in differences)
    return binomial_tail(negative, sum(d != 0 for d in differences))


def _signed_ranks(differences):
    """Twice the rank of each difference that is not 0, by its size, with its sign; equals share the mean of their ranks."""
    ordered = sorted((d for d in differences if d != 0), key=abs)
    ranks, first = [], 1
    for _, equals in itertools.groupby(ordered, key=abs):
        equals = list(equals)
        twice = 2 * first + len(equals) - 1
        ranks += [math.copysign(twice, d) for d in equals]
        first += len(equals)
    return [int(rank) for rank in ranks]


def signed_rank_test(differences):
    """Wilcoxon's test, one-sided: how probable it is that negative differences weigh so much, or more, if each were as likely
    the other way round. Exact, also with ties; zeros do not count. 1 where all are 0."""
    ranks = _signed_ranks(differences)
    if not ranks:
        return 1.0
    positive = sum(rank for rank in ranks if rank > 0)
    sizes = [abs(rank) for rank in ranks]
    if len(ranks) > _EXACT_PAIRS_MAX:
        mean, variance = sum(sizes) / 2, sum(size * size for size in sizes) / 4
        # Half of a step of 2, in which sums move.
        return 0.5 * math.erfc((mean - positive - 1) / math.sqrt(2 * variance))
    # ways[s]: in how many ways of giving signs the positive ranks add up to s.
    ways = [1]
    for size in sizes:
        longer = ways + [0] * size
        for total, count in enumerate(ways):
            longer[total + size] += count
        ways = longer
    return sum(ways[:positive + 1]) / 2 ** len(ranks)


def least_pairs(alpha):
    """How many pairs the signed-rank test needs before it can fall below alpha at all."""
    pairs = 1
    while 0.5 ** pairs >= alpha:
        pairs += 1
    return pairs


def _end(ordered, share):
    """The first of the ordered values that the median of a resample does not exceed with at least this probability."""
    count = len(ordered)
    half = (count + 1) // 2
    for rank, value in enumerate(ordered, 1):
        below = rank / count
        reached = sum(math.comb(count, k) * below ** k * (1 - below) ** (count - k) for k in range(half, count + 1))
        if reached >= share:
            return value
    raise AssertionError("no median exceeds the largest value")


def bootstrap_interval(values, share=0.95):
    """The interval in which so large a share of the medians of all resamples lies, which needs no random numbers; of an even
    number of values the outer one of the two in the middle counts."""
    outside = (1 - share) / 2
    return _end(sorted(values), outside), -_end(sorted(-value for value in values), outside)


def merge_histograms(histograms):
    """[[upper bound, count], ...] of several, by rising bounds."""
    counts = {}
    for histogram in histograms:
        for bound, count in histogram:
            counts[bound] = counts.get(bound, 0) + count
    return [[bound, counts[bound]] for bound in sorted(counts)]


def histogram_quantile(histogram, share):
    """The upper bound of the bucket in which that share of the values ends; None where there are none."""
    wanted = share * sum(count for _, count in histogram)
    reached = 0
    for bound, count in histogram:
        reached += count
        if count and reached >= wanted:
            return bound
    return None
