"""Judge of the ledger of datasets: what `tier0 dataset` says, confirmed from the published files.

    lumis.py --tier0 PROGRAM --folder ACT_FOLDER

Starts an instance on the folder of an act that was played, asks it for its datasets, their lumis
by run, block and file, and reads every published Parquet file itself. For each dataset of events:
the lumis of each run are those found in its files, nothing expected is missing, the events add up,
each file holds what its row says, and no (run, lumi, event) is there twice. Prints one JSON line;
exits 0 when it agrees, 1 when it does not, 2 when it could not look.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import time

import judging

PATIENCE_S = 60


class Instance:
    """A running instance on a folder, for as long as it is asked."""

    def __init__(self, program, folder):
        self.command = [str(program), "--config", str(folder / "tier0.toml")]
        # The address of whoever ran here before would be asked for nothing.
        (folder / "state" / "api.addr").unlink(missing_ok=True)
        self.process = subprocess.Popen([*self.command, "-q", "serve"])
        until = time.monotonic() + PATIENCE_S
        while not (folder / "state" / "api.addr").exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise judging.CannotLook("the instance did not start")
            time.sleep(0.05)

    def ask(self, *words, codes=(0, 1)):
        done = subprocess.run([*self.command, *words, "--json"], capture_output=True, text=True,
                              check=False)
        if done.returncode not in codes:
            raise judging.CannotLook(f"{' '.join(words)}: {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)


def numbers(ranges):
    """Closed ranges as a set."""
    return {lumi for first, last in ranges for lumi in range(first, last + 1)}


def look_at(instance, name, storage, found):
    """One dataset of events; the number of events in it."""
    files = instance.ask("dataset", "lumis", name, "--per", "file")["items"]
    lumis, events = collections.defaultdict(set), collections.Counter()
    seen = collections.Counter()
    for file in files:
        columns = judging.read_columns(storage / file["name"], ("run", "lumi", "event"))
        triples = list(zip(*(map(int, column) for column in columns)))
        seen.update(triples)
        events[file["run"]] += len(triples)
        if len(triples) != file["events"]:
            found.append(f"{file['name']}: {len(triples)} events, the row says {file['events']}")
        inside = {(run, lumi) for run, lumi, _ in triples}
        lumis[file["run"]] |= numbers(file["lumis"])
        said = {(file["run"], lumi) for lumi in numbers(file["lumis"])}
        if not inside <= said:
            found.append(f"{file['name']}: lumis {sorted(inside - said)[:5]} are not in its row")
    doubled = [triple for triple, times in seen.items() if times > 1]
    if doubled:
        found.append(f"{name}: {len(doubled)} events twice, first {doubled[0]}")
    by_run = instance.ask("dataset", "lumis", name)["items"]
    if {row["run"] for row in by_run} != set(lumis):
        found.append(f"{name}: runs {[row['run'] for row in by_run]}, files of {sorted(lumis)}")
    for row in by_run:
        run, said = row["run"], numbers(row["lumis"])
        if said != lumis[run]:
            found.append(f"{name}, run {run}: {row['lumis']}, files hold {sorted(lumis[run])}")
        if row["missing"] or numbers(row["expected"]) - said:
            found.append(f"{name}, run {run}: {row['missing']} missing of {row['expected']}")
        if row["events"] != events[run]:
            found.append(f"{name}, run {run}: {row['events']} events, files hold {events[run]}")
        if row["duplicate_lumis"] or row["repeated_inputs"]:
            found.append(f"{name}, run {run}: says that something is twice")
    blocks = instance.ask("dataset", "lumis", name, "--per", "block")["items"]
    of_blocks = collections.defaultdict(set)
    for block in blocks:
        of_blocks[block["run"]] |= numbers(block["lumis"])
    if dict(of_blocks) != dict(lumis):
        found.append(f"{name}: its blocks hold other lumis than its files")
    whole = instance.ask("dataset", "show", name)
    counted = (len(lumis), sum(map(len, lumis.values())), len(files), sum(events.values()))
    told = tuple(whole[key] for key in ("runs", "lumis", "files", "events"))
    if counted != told:
        found.append(f"{name}: (runs, lumis, files, events) are {counted}, the ledger says {told}")
    if whole["blocks_open"] or whole["duplicate_lumis"]:
        found.append(f"{name}: {whole['blocks_open']} blocks open, "
                     f"{whole['duplicate_lumis']} lumis twice")
    return sum(events.values())


def check_one_file(instance, found):
    """A file of the largest id is what is recorded, and comes from files of the detector."""
    newest = instance.ask("file", "ls", "--state", "published")["items"][-1]["id"]
    seen = instance.ask("file", "verify", str(newest))
    if seen["result"] != "intact":
        found.append(f"file {newest}: {seen}")
    lineage = instance.ask("file", "lineage", str(newest))
    if not any(parent["kind"] == "file" for parent in lineage["parents"]):
        found.append(f"file {newest}: no file of the detector is behind it")
    if not (lineage["made_by"] or {}).get("recipe"):
        found.append(f"file {newest}: nobody knows with what it was made")


def look(program, folder):
    found, events = [], {}
    instance = Instance(program, folder)
    try:
        for dataset in instance.ask("dataset", "ls")["items"]:
            if dataset["tier"] in ("RECO", "ALCA", "AOD"):
                name = dataset["dataset"]
                events[name] = look_at(instance, name, folder / "state" / "storage", found)
        check_one_file(instance, found)
    finally:
        instance.stop()
    # A telescope's histograms have no events to count.
    return {"events": events}, found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tier0", required=True, type=pathlib.Path)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    judging.judge("lumis", lambda: look(arguments.tier0, arguments.folder))
