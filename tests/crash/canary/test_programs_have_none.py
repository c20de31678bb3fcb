"""No program is built with the canaries of base/canary.h; the tests of canaries are."""
import glob
import os
import subprocess
import sys

WITNESS = "canary_of_test"


def has_canaries(program):
    symbols = subprocess.run(["nm", "-C", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    return WITNESS in symbols


def main():
    folder = os.environ["SCALEFS_BIN_DIR"]
    programs = glob.glob(os.path.join(folder, "scalefs*")) + glob.glob(os.path.join(folder, "*.scalefs"))
    programs = [p for p in programs if os.path.isfile(p) and os.access(p, os.X_OK)]
    names = {os.path.basename(p) for p in programs}
    for wanted in ("scalefs", "mkfs.scalefs", "fsck.scalefs"):
        if wanted not in names:
            sys.exit(f"{wanted} is not built")
    for program in programs:
        if has_canaries(program):
            sys.exit(f"{program} has canaries")
    if not has_canaries(os.path.join(folder, "crash_canary")):
        sys.exit("the tests of canaries have none")


main()
