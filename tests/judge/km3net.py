"""Judge of act 3: what the ledger says a telescope's files lack, recounted from the files.

    km3net.py --data FOLDER --document DEMO.json --folder DEMO_FOLDER/act3

FOLDER holds the data set km3net, anywhere below it. Slices and frames are read with uproot's own
interpretations of arrays, not by cutting up its baskets as the program of the act does. Compared are the source's numbers with those of the demo's
document, of the jobs in the ledger, and of the published account. Prints one JSON line; exits 0
when all agree, 1 when not, 2 when it could not look.
"""

import argparse
import json
import pathlib
import sqlite3
import sys

import numpy
import uproot

# The files by the run they hold.
FILES = {
    3246: "summaryslices.root",
    25291: "KM3NeT_00000267_00025291_JDAQEvent_JDAQSummaryslice.root",
}
FRAMES = "vector<KM3NETDAQ::JDAQSummaryFrame>"
# JDAQModuleIdentifier, JDAQFrameStatus and 31 JDAQRate, which the file's own description leaves at one.
FRAME = [("id", ">i4"), ("daq", ">i4"), ("status", ">u4"), ("fifo", ">i4"), ("status_3", ">i4"),
         ("status_4", ">i4"), ("rates", "u1", (31,))]
# The byte of a rate of 20 kHz, above which the data acquisition vetoes: 2 kHz x 1000^(85 / 255).
VETO_RATE = 85
HEADER = "KM3NETDAQ::JDAQSummarysliceHeader"


def numbers_of(tree):
    """Run and number of each slice: the four-byte numbers of its header, counted from the end: the
    time at the end has 8 bytes, the preamble of its class 6."""
    rows = tree[HEADER].array(uproot.AsJagged(uproot.AsDtype("u1")), library="np")
    words = numpy.array([numpy.frombuffer(row[-22:-14].tobytes(), dtype=">i4") for row in rows])
    return words[:, 0].astype(int), words[:, 1].astype(int)


def recount(path):
    """What a file holds and what it lacks."""
    tree = uproot.open(path)["KM3NET_SUMMARYSLICE/KM3NET_SUMMARYSLICE"]
    runs, numbers = numbers_of(tree)
    frames = tree[FRAMES].array(uproot.AsJagged(uproot.AsDtype(FRAME), 10), library="np")
    sizes = numpy.array([len(each) for each in frames])
    present = numpy.unique(numbers)
    absent = numpy.setdiff1d(numpy.arange(present[0], present[-1] + 1), present)
    short = numpy.unique(numbers[sizes < sizes.max()])
    loudest, vetoed = {}, {}
    readings_vetoed = too_quiet = 0
    for each in frames:
        for module, rates, veto in zip(each["id"], each["rates"], each["status"]):
            rates = rates.astype(int)
            bits = numpy.array([int(veto) >> channel & 1 for channel in range(len(rates))])
            readings_vetoed += int(bits.sum())
            too_quiet += int((bits & (rates < VETO_RATE)).sum())
            loudest[module] = numpy.maximum(loudest.get(module, 0), rates)
            vetoed[module] = numpy.maximum(vetoed.get(module, 0), bits)
    silent = sorted([int(module), int(channel)] for module, rates in loudest.items()
                    for channel in numpy.flatnonzero(rates == 0))
    return {
        "runs": sorted({int(run) for run in runs}),
        "expected": int(present[-1] - present[0] + 1), "present": len(present),
        "absent": [int(number) for number in absent], "partial": [int(number) for number in short],
        "repeated": int(len(numbers) - len(present)),
        "out_of_order": int((numpy.diff(numbers) < 0).sum()),
        "photomultipliers": sum(len(rates) for rates in loudest.values()), "silent": silent,
        "readings_vetoed": readings_vetoed, "readings_vetoed_below_20_khz": too_quiet,
        "silent_and_vetoed": sum(int(vetoed[module][channel]) for module, channel in silent),
    }


def spread(ranges):
    """Closed ranges as the numbers in them."""
    return [number for first, last in ranges for number in range(first, last + 1)]


def differences(where, truth, units):
    """An account of units against the recount."""
    told = {"expected": units["expected"], "present": units["present"],
            "absent": spread(units["absent_ranges"]), "partial": spread(units["partial_ranges"]),
            "repeated": units.get("repeated", 0), "out_of_order": units.get("out_of_order", 0)}
    found = [f"{where}: {name} {told[name]}, the file has {truth[name]}"
             for name in told if told[name] != truth[name]]
    for name in ("absent", "partial"):
        if units[name] != len(truth[name]):
            found.append(f"{where}: {units[name]} {name}, the file has {len(truth[name])}")
    return found


def ledger_accounts(state, run):
    """The accounts that the ledger keeps with the run's jobs; read from the database itself."""
    ledger = sqlite3.connect(f"file:{state / 'tier0.db'}?mode=ro", uri=True)
    with ledger:
        rows = ledger.execute("SELECT body FROM job WHERE run = ?", (run,)).fetchall()
    return [units for (body,) in rows for units in json.loads(body).get("units", [])]


def published_account(folder, run):
    """The published ACCOUNT file of a run."""
    entries = json.loads((folder / "published.json").read_text())
    paths = [entry["path"] for entry in entries if entry["run"] == run and entry["tier"] == "ACCOUNT"]
    return [json.loads((folder / path).read_text()) for path in paths]


def look(truth, run, document, folder):
    found = []
    if truth["runs"] != [run]:
        found.append(f"the file holds runs {truth['runs']}")
    accounts = ledger_accounts(folder / "state", run)
    published = published_account(folder, run)
    told = [each for each in document["runs"] if each["run"] == run]
    for name, rows in (("ledger", accounts), ("published", published), ("document", told)):
        if len(rows) != 1:
            found.append(f"{name}: {len(rows)} accounts of run {run}, not one")
    for account in accounts:
        found += differences("ledger", truth, account)
    for account in published:
        slices, tubes = account["slices"], account["photomultipliers"]
        slices = {**slices, "partial": slices["cut_short"], "partial_ranges": slices["cut_short_ranges"],
                  "out_of_order": slices["steps_back"]}
        found += differences("published", truth, slices)
        for name, value in (("photomultipliers", truth["photomultipliers"]),
                            ("silent", len(truth["silent"])), ("silent_list", truth["silent"]),
                            *((name, truth[name]) for name in (
                                "silent_and_vetoed", "readings_vetoed",
                                "readings_vetoed_below_20_khz"))):
            if tubes[name] != value:
                found.append(f"published: {name} {tubes[name]}, the file has {value}")
    for summary in told:
        for row in summary["units"]:
            missing = len(truth["absent"]) + len(truth["partial"])
            if row["complete"] != (missing == 0):
                found.append(f"document: complete {row['complete']} with {missing} missing")
            for name in ("expected", "present", "out_of_order"):
                if row[name] != truth[name]:
                    found.append(f"document: {name} {row[name]}, the file has {truth[name]}")
            for name in ("absent", "partial"):
                if row[name] != len(truth[name]):
                    found.append(f"document: {row[name]} {name}, the file has {len(truth[name])}")
    return found


def passed_wrongly(truth, account):
    """Wrong accounts that this judge would let pass: there must be none."""
    wrong = [{**account, name: account[name] + 1} for name in (
        "expected", "present", "absent", "partial", "repeated", "out_of_order")]
    for name in ("absent_ranges", "partial_ranges"):
        first, *others = account[name] or [[0, 0]]
        wrong += [{**account, name: [[first[0] + 1, first[1] + 1], *others]}]
    return [each for each in wrong if not differences("wrong", truth, each)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, action="append", type=pathlib.Path)
    parser.add_argument("--document", required=True, type=pathlib.Path)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    acts = json.loads(arguments.document.read_text())["acts"]
    act = next((act for act in acts if act["act"] == 3 and act["status"] == "done"), None)
    sources = {run: next((path for folder in arguments.data for path in folder.rglob(name)), None)
               for run, name in FILES.items()}
    if act is None or None in sources.values():
        print(json.dumps({"agrees": False, "why": "act 3 was not played, or its data are not here"}))
        return 2
    found, counted = [], {}
    for run, path in sources.items():
        truth = recount(path)
        found += look(truth, run, act, arguments.folder)
        for account in ledger_accounts(arguments.folder / "state", run):
            found += [f"the judge lets {wrong} pass" for wrong in passed_wrongly(truth, account)]
        counted[run] = {name: len(value) if isinstance(value, list) else value
                        for name, value in truth.items()}
    print(json.dumps({"agrees": not found, "why": found, "runs": counted}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
