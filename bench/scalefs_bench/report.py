"""A run's report: one page of HTML that needs no other file, and the main table in Markdown."""
from html import escape

from . import chart, statistics
from .axes import number_text, time_text
from .figures import label_of

_STYLE = """
body { font: 15px/1.45 "Liberation Sans", Arial, Helvetica, sans-serif; max-width: 1020px; margin: 1.5em auto; padding: 0 1em;
       color: #000; background: #fff }
svg { max-width: 100%; height: auto; display: block; margin: .5em 0 1.5em }
table { border-collapse: collapse; margin: .5em 0 1.5em; font-size: 13px }
th, td { border-bottom: 1px solid #bbb; padding: .2em .7em; text-align: right; vertical-align: top }
th:first-child, td:first-child, .text td { text-align: left }
thead th { border-bottom: 2px solid #000 }
.scroll { overflow-x: auto }
.warning { border-left: 4px solid #000; padding: .2em .8em; margin: .4em 0; background: #f2f2f2 }
summary { cursor: pointer; font-weight: bold }
"""
_SPREAD_MAX = 0.05


def warnings(run):
    """What could mislead a reader, in whole sentences: what the run noted, and what its figures show."""
    settings = run.settings
    found = list(settings.get("warnings") or [])
    if settings.get("interrupted"):
        found.append("The run was interrupted: what it had not reached yet is not here.")
    if settings.get("failures"):
        found.append(f"Failed, and not here: {_some(settings['failures'], 'repetition')}.")
    if run.cores and run.threads()[-1] > run.cores:
        found.append(f"{run.threads()[-1]} threads ran on {run.cores} cores: beyond {run.cores}, threads only take turns.")
    if run.cores and run.cores <= 2:
        found.append(f"This machine has {run.cores} core{'s' * (run.cores > 1)}: it shows what operations cost, "
                     "not whether a file system scales.")
    wide = []
    for workload in run.workloads:
        for label in run.labels:
            for threads, entries in run.repetitions(workload, label).items():
                rates = [entry["items_per_second"] for entry in entries]
                spread = statistics.relative_spread(rates)
                if spread > _SPREAD_MAX:
                    wide.append((spread, f"{workload} on {label}, {threads} threads"))
    if wide and not any("rounds differ" in one for one in found):
        spread, where = max(wide)
        found.append(f"{len(wide)} rows vary by more than {100 * _SPREAD_MAX:g} % between rounds, the most {where}: "
                     f"by {100 * spread:.0f} % of the median.")
    return list(dict.fromkeys(found))


def _some(count, what):
    return None if count is None else f"{count} {what}{'s' * (count != 1)}"


def _run_rows(run):
    """How it was run: what context.scalefs_bench says."""
    left_out = ("warnings", "failures", "interrupted")
    for key, value in run.settings.items():
        if key not in left_out and value not in (None, [], False, ""):
            text = ", ".join(map(str, value)) if isinstance(value, list) else "yes" if value is True else str(value)
            yield key.replace("_", " "), text


def _machine_rows(env):
    cpu, kernel, source = (env.get(key) or {} for key in ("cpu", "kernel", "scalefs"))
    noise = env.get("noise") or {}
    yield "Processor", ", ".join(str(one) for one in (
        cpu.get("model"), _some(cpu.get("sockets"), "socket"), _some(cpu.get("cores"), "core"), _some(cpu.get("online"), "processor"),
        f"SMT {cpu['smt']}" if cpu.get("smt") in ("on", "off", "forceoff") else None, f"governor {cpu.get('governor') or 'not told'}",
        "a virtual machine" if cpu.get("virtual_machine") else None) if one)
    yield "Caches", ", ".join(f"L{one['level']} {one['type'].lower()} {one['size'] // 1024} KiB for {one['num_sharing']}"
                              for one in cpu.get("caches") or []) or "not told"
    yield "Memory", f"{env.get('memory_mib')} MiB, {_some(len(env.get('numa') or []), 'NUMA node')}"
    yield "Kernel", f"{kernel.get('system')} {kernel.get('release')}, FUSE over io_uring " + \
        {True: "allowed", False: "not allowed"}.get(kernel.get("fuse_over_io_uring"), "unknown to it")
    yield "libfuse", str(env.get("libfuse"))
    yield "scalefs", " ".join(str(one) for one in (source.get("version"), source.get("commit"),
                                                   "with changes" if source.get("changed") else None) if one) or "not told"
    yield "Noise", f"the same work took up to {noise.get('spread_percent')} % more than its median; others used " \
        f"{noise.get('others_percent')} %, the host {noise.get('stolen_percent')} % of the processors; load {noise.get('load_average')}"
    for target in env.get("targets") or []:
        words = [f"{key}: {value}" for key, value in target.items() if key not in ("name", "media") and value not in (None, "")]
        media = target.get("media") or {}
        words += [f"medium: {media['kind']}"] if media else []
        yield f"Target {target.get('name')}", "; ".join(words) or "in memory"
    yield "Time", str(env.get("time"))


def _rate_cell(entries):
    if not entries:
        return ""
    rates = [entry["items_per_second"] for entry in entries]
    return number_text(statistics.median(rates))


def rate_rows(run):
    """The main table: heading and rows of text; medians of operations/s."""
    heading = ["workload", "threads"] + run.labels
    rows = []
    for workload in run.workloads:
        for threads in run.threads():
            cells = [_rate_cell(run.repetitions(workload, label).get(threads)) for label in run.labels]
            if any(cells):
                rows.append([workload, str(threads)] + cells)
    return heading, rows


def _latency_rows(run):
    heading = ["workload", "operation", "target", "threads", "count", "mean", "p50", "p90", "p99", "p99.9", "max"]
    rows = []
    for workload in run.workloads:
        for label in run.labels:
            for threads, entries in run.repetitions(workload, label).items():
                for kind in dict.fromkeys(kind for entry in entries for kind in entry["operations"]):
                    found = [entry["operations"][kind] for entry in entries if kind in entry["operations"]]
                    times = [time_text(statistics.median([one[key] for one in found]))
                             for key in ("mean_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns")]
                    times.append(time_text(max(one["max_ns"] for one in found)))
                    rows.append([workload, kind, label, str(threads), number_text(sum(one["count"] for one in found))] + times)
    return heading, rows


def _round_rows(run):
    heading = ["workload", "target", "threads", "round", "operations", "s", "operations/s", "ns/operation", "CPU ns/operation",
               "CPU ns/operation of servers"]
    return heading, [[entry["workload"], label_of(entry), str(entry["threads"]), str(entry["round"]), str(entry["iterations"]),
                      f"{entry['seconds']:.3g}", number_text(entry["items_per_second"]), f"{entry['real_time']:.4g}",
                      f"{entry['cpu_time']:.4g}", f"{entry['server_cpu_time']:.4g}" if entry.get("server_cpu_time") else ""]
                     for entry in run.entries]


def _html_table(heading, rows, kind=""):
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heading)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll {kind}"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def html(run, figures):
    """The page. figures: those to be drawn into it."""
    parts = ["<h1>scalefs-bench</h1>"]
    parts += [f'<p class="warning">{escape(one)}</p>' for one in warnings(run)]
    parts += ["<h2>Operations per second</h2>", "<p>Medians of the rounds, of all threads together.</p>", _html_table(*rate_rows(run)),
              "<h2>Figures</h2>"]
    for figure in figures:
        parts.append(chart.draw(figure).source(figure.title))
    parts += ["<h2>The machine</h2>", _html_table(["what", ""], [list(row) for row in _machine_rows(run.env)], "text"),
              "<details><summary>Settings of the run</summary>",
              _html_table(["what", ""], [list(row) for row in _run_rows(run)], "text"), "</details>",
              "<details><summary>Latencies</summary><p>Medians of the rounds; the longest of all rounds.</p>",
              _html_table(*_latency_rows(run)), "</details>",
              "<details><summary>All rounds</summary>", _html_table(*_round_rows(run)), "</details>"]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>scalefs-bench</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n")


def _cell(text):
    return text.replace("|", "\\|")


def markdown(run, figures):
    """The main table, with the figures' files beside it."""
    heading, rows = rate_rows(run)
    lines = ["Operations per second, medians of the rounds, of all threads together.", "",
             "| " + " | ".join(map(_cell, heading)) + " |", "|" + "---|" * len(heading)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    lines += [""] + [f"- {one}" for one in warnings(run)] + [""]
    lines += [f"![{figure.title}]({figure.name}.svg)" for figure in figures]
    lines += ["", "| | |", "|---|---|"] + [f"| {_cell(key)} | {_cell(value)} |" for key, value in _machine_rows(run.env)]
    return "\n".join(lines) + "\n"
