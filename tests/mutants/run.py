#!/usr/bin/env python3
"""Plants the bugs of list.toml, one at a time, and lets the simulator look for them.

    tests/mutants/run.py                    all of them; at least nine in ten must be caught
    tests/mutants/run.py --only NAME ...    some of them
    tests/mutants/run.py --list             what there is
    tests/mutants/run.py --self-check       every text that is to be replaced occurs once in its file

The workspace is copied to a temporary folder; nothing in this one is touched. Only the pure rooms
are built (the example `seeds` of src/sim). The last line counts: `mutants: N caught, N survived of N`.
Exits 1 when fewer than 90% are caught, or one does not build. Python's standard library is enough.
"""

import argparse
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Of a hundred planted bugs so many must be caught.
CAUGHT_PERCENT_MIN = 90
# A planted bug may make the engine go round for ever: so much processor time is more than all seeds
# need, on any machine.
CPU_SECONDS_MAX = 300
# Whatever is not needed to build the pure rooms, and large.
NOT_COPIED = shutil.ignore_patterns("target", ".git", "node_modules", "__pycache__", "*.parquet", "*.root")
KEYS = {"name", "wrong", "file", "find", "replace"}


def read_list():
    with open(HERE / "list.toml", "rb") as listed:
        return tomllib.load(listed)["mutant"]


def mistakes(mutants):
    """What is wrong with the list itself."""
    found = []
    names = [mutant.get("name") for mutant in mutants]
    for mutant in mutants:
        name = mutant.get("name", "one without a name")
        if set(mutant) != KEYS:
            found.append(f"{name}: has {sorted(mutant)}, not {sorted(KEYS)}")
            continue
        if names.count(name) > 1:
            found.append(f"{name}: is in the list more than once")
        times = (ROOT / mutant["file"]).read_text().count(mutant["find"])
        if times != 1:
            found.append(f"{name}: its text occurs {times} times in {mutant['file']}, not once")
        if mutant["find"] == mutant["replace"]:
            found.append(f"{name}: changes nothing")
    return found


def build(folder, target):
    """Builds the example; its path, or none and what the compiler said."""
    command = ["cargo", "build", "--release", "--quiet", "-p", "tier0-sim", "--example", "seeds"]
    # Less optimised builds are ready sooner than their seeds are slower.
    command += ["--config", "profile.release.opt-level=1", "--config", "profile.release.incremental=true"]
    command += ["--target-dir", str(target)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr
    return target / "release" / "examples" / "seeds", ""


def play(program, seeds):
    """What came of the seeds: whether something was noticed, and what."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    done = subprocess.run([program, str(seeds)], capture_output=True, text=True, preexec_fn=limit)
    if done.returncode in (-signal.SIGKILL, -signal.SIGXCPU):
        return True, f"it goes round for ever (ended after {CPU_SECONDS_MAX}s)"
    said = done.stdout.strip()
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()
        return True, f"it ended with {done.returncode}: {last[-1] if last else 'no word'}"
    return said.startswith("caught"), said


def plant(folder, mutant):
    path = folder / mutant["file"]
    whole = path.read_text()
    path.write_text(whole.replace(mutant["find"], mutant["replace"]))
    return lambda: path.write_text(whole)


def campaign(mutants, seeds, folder, target):
    counts = {"caught": [], "survived": [], "does not build": []}
    program, said = build(folder, target)
    if program is None:
        sys.exit(f"the workspace does not build:\n{said}")
    noticed, said = play(program, seeds)
    if noticed:
        sys.exit(f"something is wrong before a bug is planted: {said}")
    print(f"without a bug: {said}", flush=True)
    for mutant in mutants:
        began = time.monotonic()
        undo = plant(folder, mutant)
        program, said = build(folder, target)
        if program is None:
            outcome = "does not build"
            said = next((line for line in said.splitlines() if line.startswith("error")), "no word")
        else:
            noticed, said = play(program, seeds)
            outcome = "caught" if noticed else "survived"
        undo()
        counts[outcome].append(mutant["name"])
        took = time.monotonic() - began
        print(f"{outcome:<8}  {mutant['name']:<32} {said[:160]}  [{took:.0f}s]", flush=True)
    return counts


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seeds", type=int, default=2000, help="seeds for each planted bug (2000)")
    asked.add_argument("--only", nargs="+", metavar="NAME", help="only these")
    asked.add_argument("--list", action="store_true", help="list them")
    asked.add_argument("--self-check", action="store_true", help="look at the list only")
    asked.add_argument("--target", type=pathlib.Path, help="a target folder to build in, kept")
    given = asked.parse_args()
    mutants = read_list()
    if given.list:
        for mutant in mutants:
            print(f"{mutant['name']:<32} {mutant['wrong']}")
        return
    wrong = mistakes(mutants)
    if wrong:
        sys.exit("\n".join(wrong))
    if given.self_check:
        print(f"{len(mutants)} planted bugs, each with a text that is there once")
        return
    if given.only:
        unknown = set(given.only) - {mutant["name"] for mutant in mutants}
        if unknown:
            sys.exit(f"no planted bug is called {', '.join(sorted(unknown))}")
        mutants = [mutant for mutant in mutants if mutant["name"] in given.only]
    with tempfile.TemporaryDirectory(prefix="tier0-mutants.") as kept:
        folder = pathlib.Path(kept) / "workspace"
        # Every file counts as changed: a folder of builds may hold the bug of a run that was ended.
        shutil.copytree(ROOT, folder, ignore=NOT_COPIED, symlinks=True, copy_function=shutil.copy)
        target = given.target.resolve() if given.target else pathlib.Path(kept) / "target"
        counts = campaign(mutants, given.seeds, folder, target)
    for outcome in ("survived", "does not build"):
        if counts[outcome]:
            print(f"{outcome}: {', '.join(counts[outcome])}")
    caught, survived = len(counts["caught"]), len(counts["survived"])
    print(f"mutants: {caught} caught, {survived} survived of {len(mutants)}")
    if counts["does not build"] or 100 * caught < CAUGHT_PERCENT_MIN * len(mutants):
        sys.exit(1)


if __name__ == "__main__":
    main()
