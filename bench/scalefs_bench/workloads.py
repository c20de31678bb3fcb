"""The workloads, as the worker tells them, and the words that --workload takes."""
import difflib

# What the short suite runs.
SHORT = ("DRBL", "DWOL", "DWSL", "MRPL", "MRDM", "MWCL", "MWUM", "MWRL", "mailbench", "dbench")
GROUPS = {
    "fxmark": "all of FxMark without those with a background worker",
    "fxmark_bg": "those of FxMark with a background worker",
    "applications": "dbench, mailbench, smallfile, largefile, fsync",
    "trees": "mdtest, untar, git",
    "short": ", ".join(SHORT),
    "all": "everything",
}


def _in_group(word, workload):
    if word == "all":
        return True
    if word == "short":
        return workload["name"] in SHORT
    if word.startswith("fxmark"):
        return workload["family"] == "fxmark" and workload["background"] == (word == "fxmark_bg")
    return workload["family"] == {"applications": "application", "trees": "tree"}[word]


def choose(known, text):
    """Those of `known` (of the worker's list) that a list with commas names. Raises ValueError."""
    names = [workload["name"] for workload in known]
    chosen = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word in GROUPS:
            found = [workload for workload in known if _in_group(word, workload)]
        else:
            found = [workload for workload in known if workload["name"] == word]
        if not found:
            lower = {name.lower(): name for name in names + list(GROUPS)}
            near = difflib.get_close_matches(word.lower(), lower, 1, 0.5)
            raise ValueError(f"there is no workload '{word}'" + (f"; did you mean {lower[near[0]]}?" if near else "") +
                             f"\nworkloads: {', '.join(names)}\nseveral: {', '.join(GROUPS)}")
        chosen += [workload for workload in found if workload not in chosen]
    if not chosen:
        raise ValueError("--workload names none")
    return chosen
