"""The machine that a run was made on, as far as its figures depend on it: env.json.

Not in it: the host's name, users, the kernel's command line, and paths. A mount's options are told without the values
that are paths or numbers of users.
"""
import datetime
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
_CPU = "/sys/devices/system/cpu"


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _output(*command):
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None


def parse_list(text):
    """The numbers of a list such as 0-2,8."""
    numbers = []
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.strip().isdigit():
            numbers += range(int(first), int(last or first) + 1)
    return numbers


def _caches():
    """As Google Benchmark tells them: size in bytes, num_sharing: processors that share it."""
    found = []
    top = f"{_CPU}/cpu0/cache"
    for entry in sorted(os.listdir(top)) if os.path.isdir(top) else []:
        level, size = _read(f"{top}/{entry}/level"), re.match(r"(\d+)K", _read(f"{top}/{entry}/size") or "")
        if level and size:
            found.append({"type": _read(f"{top}/{entry}/type"), "level": int(level), "size": int(size.group(1)) * 1024,
                          "num_sharing": len(parse_list(_read(f"{top}/{entry}/shared_cpu_list")))})
    return found


def _processors():
    info = _read("/proc/cpuinfo") or ""
    model = re.search(r"^(?:model name|Model|cpu model)\s*:\s*(.*)$", info, re.MULTILINE)
    online = parse_list(_read(f"{_CPU}/online")) or list(range(os.cpu_count() or 1))
    places = set()
    for cpu in online:
        topology = f"{_CPU}/cpu{cpu}/topology"
        places.add((_read(f"{topology}/physical_package_id"), _read(f"{topology}/core_id")))
    governors = {_read(f"{_CPU}/cpu{cpu}/cpufreq/scaling_governor") for cpu in online} - {None}
    megahertz = re.search(r"^cpu MHz\s*:\s*([\d.]+)", info, re.MULTILINE)
    return {
        "model": model.group(1) if model else None,
        "architecture": platform.machine(),
        "online": len(online),
        "allowed": len(os.sched_getaffinity(0)),
        "cores": len(places),
        "sockets": len({socket for socket, _ in places}),
        "smt": _read(f"{_CPU}/smt/control"),
        "mhz": float(megahertz.group(1)) if megahertz else None,
        "governor": ", ".join(sorted(governors)) or None,
        "virtual_machine": bool(re.search(r"^flags\s*:.*\bhypervisor\b", info, re.MULTILINE)),
        "caches": _caches(),
    }


def _numa():
    top = "/sys/devices/system/node"
    nodes = []
    for node in parse_list(_read(f"{top}/online")):
        memory = re.search(r"MemTotal:\s*(\d+)", _read(f"{top}/node{node}/meminfo") or "")
        nodes.append({"cpus": _read(f"{top}/node{node}/cpulist"),
                      "memory_mib": int(memory.group(1)) // 1024 if memory else None})
    return nodes


def _libfuse():
    text = _output("fusermount3", "--version") or ""
    version = re.search(r"(\d+\.\d+\.\d+)", text)
    return version.group(1) if version else None


def _source():
    """The commit that is measured: of the source tree that this file stands in, or as the installation has noted it."""
    if os.path.exists(f"{_HERE}/build.json"):
        try:
            return json.loads(_read(f"{_HERE}/build.json"))
        except ValueError:
            return {"version": None, "commit": None}
    git = ("git", "-c", "safe.directory=*", "-C", _HERE)
    commit = _output(*git, "rev-parse", "HEAD")
    changed = _output(*git, "status", "--porcelain", "--untracked-files=no")
    return {"version": None, "commit": commit, "changed": bool(changed) if commit else None}


def _unescape(text):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def _mount_of(folder):
    """(type, options, device's numbers) of the mount that the folder is on."""
    device = os.stat(folder).st_dev
    numbers = f"{os.major(device)}:{os.minor(device)}"
    real, best = os.path.realpath(folder), None
    for line in (_read("/proc/self/mountinfo") or "").split("\n"):
        fields = line.split()
        if "-" not in fields:
            continue
        behind = fields.index("-")
        point = _unescape(fields[4])
        if real == point or real.startswith(point.rstrip("/") + "/"):
            # Of two mounts on one another the later is seen.
            if best is None or len(point) >= len(best[0]):
                options = fields[5].split(",") + fields[behind + 3].split(",")
                best = (point, fields[behind + 1], options, fields[2])
    return (best[1], best[2], best[3]) if best else (None, [], numbers)


def _public_options(options):
    public = []
    for option in options:
        key, equals, value = option.partition("=")
        if key in ("user_id", "group_id", "fsname", "source", "context") or key.endswith(("uid", "gid")):
            continue
        if equals and "/" in value:
            option = f"{key}=(path)"
        if option not in public and "/" not in option:
            public.append(option)
    return ",".join(public)


def _media(numbers):
    """What kind of device has these numbers: memory or none, loop, disk."""
    block = f"/sys/dev/block/{numbers}"
    if not os.path.exists(block):
        return {"kind": "none"}
    if os.path.exists(f"{block}/loop"):
        return {"kind": "loop"}
    queue = f"{block}/queue" if os.path.exists(f"{block}/queue") else f"{block}/../queue"
    rotational = _read(f"{queue}/rotational")
    return {"kind": "disk", "rotational": None if rotational is None else rotational == "1",
            "write_cache": _read(f"{queue}/write_cache")}


def describe_folder(folder):
    """The file system that a folder lies on: {"type", "options", "media"}; no path."""
    kind, options, numbers = _mount_of(folder)
    return {"type": kind, "options": _public_options(options), "media": _media(numbers)}


def _target(target):
    name, folder = target if isinstance(target, (tuple, list)) else (str(target), None)
    if folder is None and str(name).startswith("dir:"):
        name, folder = "dir", str(name)[4:]
    told = {"name": str(name)}
    if folder is not None:
        try:
            told.update(describe_folder(folder))
        except OSError as error:
            told["unknown"] = error.strerror
    return told


def _processor_times():
    """(all, idle, stolen) of all processors, in s."""
    fields = [int(field) for field in (_read("/proc/stat") or "cpu 0 0 0 0 0 0 0 0").split("\n")[0].split()[1:9]]
    ticks = os.sysconf("SC_CLK_TCK")
    fields += [0] * (8 - len(fields))
    return sum(fields) / ticks, (fields[3] + fields[4]) / ticks, fields[7] / ticks


def _own_time():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Watch:
    """What else the machine did, from the making of this object on: report() tells it, in % of all processors' time.

    `stolen_percent`: taken by the host of a virtual machine. `others_percent`: used by anything that is neither this process nor a
    child that it has waited for; daemons of mounts and the kernel's threads are among them, so look at it while nothing is measured."""

    def __init__(self):
        self._start = _processor_times() + (_own_time(),)

    def report(self):
        now = _processor_times() + (_own_time(),)
        all_s, idle_s, stolen_s, own_s = (b - a for a, b in zip(self._start, now))
        if all_s <= 0:
            return {"stolen_percent": 0.0, "others_percent": 0.0}
        others = max(0.0, all_s - idle_s - stolen_s - own_s)
        return {"stolen_percent": round(100 * stolen_s / all_s, 2), "others_percent": round(100 * others / all_s, 2)}


def measure_noise(seconds=0.5):
    """How steady the machine is: the same piece of work, again and again for so long, by one thread. spread_percent: the 90th
    percentile of its times above the median."""
    watch = Watch()
    end = time.monotonic() + seconds
    times = []
    while time.monotonic() < end or len(times) < 5:
        start = time.perf_counter_ns()
        sum(range(20000))
        times.append(time.perf_counter_ns() - start)
    times.sort()
    middle = times[len(times) // 2]
    spread = times[min(len(times) - 1, len(times) * 9 // 10)] / middle - 1
    load = os.getloadavg()
    return {"spread_percent": round(100 * spread, 2), "load_average": [round(one, 2) for one in load], **watch.report()}


def collect(targets):
    """The content of env.json. `targets`: of each its name, or (name, folder) where it is a folder of a mounted file system;
    "dir:FOLDER" is a folder too. Takes about a second, in which it measures the machine's noise."""
    memory = re.search(r"MemTotal:\s*(\d+)", _read("/proc/meminfo") or "")
    uring = _read("/sys/module/fuse/parameters/enable_uring")
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cpu": _processors(),
        "numa": _numa(),
        "memory_mib": int(memory.group(1)) // 1024 if memory else None,
        "kernel": {"system": platform.system(), "release": platform.release(),
                   "fuse_over_io_uring": None if uring is None else uring in ("Y", "1")},
        "libfuse": _libfuse(),
        "scalefs": _source(),
        "python": platform.python_version(),
        "targets": [_target(target) for target in targets],
        "noise": measure_noise(),
    }


def google_context(env):
    """The "context" of results.json, as Google Benchmark's tools read it, from what collect() gave."""
    cpu = env["cpu"]
    return {
        "date": env["time"],
        "executable": "scalefs-bench",
        "num_cpus": cpu["online"],
        "mhz_per_cpu": round(cpu["mhz"] or 0),
        "cpu_scaling_enabled": cpu["governor"] not in (None, "performance"),
        "caches": cpu["caches"],
        "load_avg": env["noise"]["load_average"],
        "library_build_type": "release",
    }
