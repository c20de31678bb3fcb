"""What may make a run's figures mislead, in words."""
import collections
import os

_STEADY_PERCENT = 10
_STOLEN_PERCENT = 1
_OTHERS_PERCENT = 10
_ROUNDS_PERCENT = 20
_READS = ("DRB", "MRP", "MRD")


def _of_machine(environment):
    noise, cpu = environment["noise"], environment["cpu"]
    if noise["spread_percent"] > _STEADY_PERCENT:
        yield f"the machine is not steady: the same work takes up to {noise['spread_percent']:.0f} % longer than usual"
    if noise["stolen_percent"] > _STOLEN_PERCENT:
        yield f"the host of this virtual machine takes {noise['stolen_percent']:.0f} % of its processors away"
    if noise["others_percent"] > _OTHERS_PERCENT:
        yield f"others use {noise['others_percent']:.0f} % of the processors"
    if cpu["governor"] not in (None, "performance"):
        yield f"the processors' frequency governor is {cpu['governor']}, not performance"


def before(environment, settings, chosen, targets, build, images_type):
    """Of what is known before anything is measured."""
    found = list(_of_machine(environment))
    cpus = environment["cpu"]["allowed"]
    over = [count for count in settings.threads if count > cpus]
    if over:
        found.append(f"{', '.join(map(str, over))} threads on {cpus} processors: they take turns, latencies include waiting")
    if any(workload["background"] for workload in chosen) and max(settings.threads) + 1 > cpus:
        found.append("the background worker of the _bg workloads shares a processor with another")
    served = [target.name for target in targets if not target.in_process and target.transport]
    if served and max(settings.threads) >= cpus:
        found.append(f"with {max(settings.threads)} threads on {cpus} processors the daemons of mounts have none of their own")
    if build["build"] != "release":
        found.append(f"scalefs is built as {build['build']}: its figures say nothing about an optimised one")
    reads = [workload["name"] for workload in chosen if workload["name"].startswith(_READS)]
    if reads:
        found.append(f"{', '.join(reads)}: what is read was just written, caches are warm")
    loops = [target.name for target in targets if target.uses_loop]
    direct = [target.name for target in targets if target.uses_disk and not target.uses_loop]
    if loops and direct:
        found.append(f"{', '.join(loops)} reach the image through a loop device, {', '.join(direct)} do not")
    if (loops or direct) and images_type in ("tmpfs", "ramfs"):
        found.append("the images lie in memory: what fsync costs on a disk is not in the figures (--dir-for-images)")
    elif loops or direct:
        found.append("the images are files: their fsync also pays for the host's file system, and other traffic on its disk")
    return found


def after(entries, watched):
    """Of the rounds as they were."""
    if watched["stolen_percent"] > _STOLEN_PERCENT:
        yield f"while it was measured, the host took {watched['stolen_percent']:.0f} % of the processors away"
    groups = collections.defaultdict(list)
    for entry in entries:
        groups[entry["name"]].append(entry["items_per_second"])
    wide = []
    for name, rates in groups.items():
        middle = sorted(rates)[len(rates) // 2]
        if len(rates) > 1 and middle > 0 and (max(rates) - min(rates)) / middle * 100 > _ROUNDS_PERCENT:
            wide.append(name)
    if wide:
        more = f" and {len(wide) - 3} more" if len(wide) > 3 else ""
        yield f"rounds differ by more than {_ROUNDS_PERCENT} %: {', '.join(wide[:3])}{more}"
    unexpected = sorted({entry["name"] for entry in entries if entry["unexpected"]})
    if unexpected:
        yield f"calls answered otherwise than the load file expects: {', '.join(unexpected)}"


def free_bytes(folder):
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
