"""What the rows have in common: samples, quartiles, and how a row is printed and judged."""

import random
import statistics


def lower_quartile(values):
    return statistics.quantiles(values, n=4, method='inclusive')[0] if len(values) > 1 else values[0]


def interval(values):
    """Of the median, with a confidence of about 95 %: order statistics by the binomial distribution."""
    ordered = sorted(values)
    away = 0.98 * len(ordered) ** 0.5
    low = max(0, int(len(ordered) / 2 - away))
    high = min(len(ordered) - 1, int(len(ordered) / 2 + away))
    return ordered[low], ordered[high]


class Table:
    """Prints rows as they come. `holds`: None for what is told and not judged."""

    def __init__(self):
        self.missed = 0
        self.judged = 0

    def head(self, title, *columns):
        print(f'\n### {title}\n\n| row | target | measured | holds | {" | ".join(columns)} |', flush=True)
        print(f'|{"---|" * (4 + len(columns))}')

    def row(self, name, target, measured, holds, *cells):
        if holds is not None:
            self.judged += 1
            self.missed += not holds
        word = {None: '', True: 'yes', False: '**no**'}[holds]
        print(f'| {name} | {target} | {measured} | {word} | {" | ".join(cells)} |', flush=True)


def orders(count):
    """AB or BA for each pair, half of them each, in random order."""
    turns = [i % 2 for i in range(count)]
    random.Random(count).shuffle(turns)
    return turns
