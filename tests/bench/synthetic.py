"""Results that no machine measured: of given workloads and targets, with given rates."""
import random


def operation(mean_ns, count, chance=None):
    """A kind of operation whose latencies lie around the mean, in buckets that double."""
    buckets = [[mean_ns * factor / 4, 0] for factor in (1, 2, 4, 8, 16, 64, 256)]
    shares = (0.05, 0.45, 0.35, 0.1, 0.04, 0.009, 0.001)
    for bucket, share in zip(buckets, shares):
        bucket[1] = round(count * share * (1 + (chance.uniform(-0.1, 0.1) if chance else 0)))
    total = sum(bucket[1] for bucket in buckets)
    return {"count": total, "mean_ns": mean_ns, "p50_ns": buckets[1][0], "p90_ns": buckets[3][0], "p99_ns": buckets[4][0],
            "p999_ns": buckets[5][0], "max_ns": buckets[6][0], "histogram": buckets}


def entry(workload, target, threads, number, rate, rounds, **more):
    """One repetition. more: keys that are to be otherwise."""
    name = f"{workload}/target:{target}/threads:{threads}"
    made = {
        "name": name, "run_name": name, "run_type": "iteration", "repetitions": rounds, "repetition_index": number,
        "threads": threads, "iterations": int(rate), "real_time": 1e9 / rate, "cpu_time": 0.9e9 / rate, "time_unit": "ns",
        "items_per_second": rate, "workload": workload, "target": target, "transport": None, "sharing": "low",
        "unit": "create", "seconds": 1.0, "round": number,
        "operations": {"create": operation(1e9 * threads / rate, 10000)},
    }
    made.update(more)
    return made


def run(rates, rounds=5, noise=0.0, seed=1, threads=(1, 2, 4), workloads=("MWCL",)):
    """Results of targets: rates: {target: operations/s of one thread}; a doubling of threads brings 1.8 times as much."""
    chance = random.Random(seed)
    entries = []
    for number in range(rounds):
        for workload in workloads:
            for target, rate in rates.items():
                for count in threads:
                    scaled = rate * 1.8 ** (count.bit_length() - 1) * (1 + chance.uniform(-noise, noise))
                    entries.append(entry(workload, target, count, number, scaled, rounds))
    return {"context": {"num_cpus": 4}, "benchmarks": entries}
