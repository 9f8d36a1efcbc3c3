#!/usr/bin/env python3
"""Accounts for the time slices and photomultipliers in a file of the KM3NeT data acquisition.

A job program as any other: it is told of its work by the JSON file that TIER0_JOB names and answers
with the one that TIER0_REPORT names. It needs uproot and numpy: installed for this Python, or in a
folder `packages` beside this file (`pip install --target packages uproot`).

A telescope cuts time into slices of 0.1 s, numbered from the start of the run. For each of them the
data acquisition writes a summary slice: for every optical module one frame with the rates of its 31
photomultipliers and their status. Slices come in the order in which the machines that put them
together finish, so their numbers go up and down; a number that never comes is absent; a slice with
fewer modules than the others is cut short.

Outputs: ACCOUNT, everything counted, with the complete lists; DQM, histograms (UHI). The figures
`units` of the report are what the ledger keeps.
"""

import json
import os
import pathlib
import sys
import zlib

CHANNELS = 31
# The record of a slice's header: what ROOT writes in front, then detector, run and number of the
# slice, then its start (seconds, and ticks of 16 ns).
HEADER = [("front", "V18"), ("detector", ">i4"), ("run", ">i4"), ("number", ">i4"),
          ("middle", "V6"), ("seconds", ">u4"), ("ticks", ">u4")]
# The frame of a module: its number, five status words, a byte for each photomultiplier's rate.
FRAME = [("module", ">i4"), ("packets", ">u4"), ("veto", ">u4"), ("fifo", ">u4"),
         ("status_3", ">u4"), ("status_4", ">u4"), ("rate", "u1", CHANNELS)]
# Bytes that ROOT writes in front of a slice's list of frames.
FRONT_OF_FRAMES = 10
# A rate is one byte: 0 for none, otherwise 2 kHz x 1000^(byte / 255).
RATE_MIN_KHZ, RATE_SPAN = 2.0, 1000.0
# Above this rate the data acquisition vetoes a photomultiplier.
VETO_KHZ = 20.0
# Ranges in the report; the complete lists are in ACCOUNT.
RANGES_MAX = 256


class Unreadable(Exception):
    """The file is not what this program reads."""


def packages():
    """numpy and uproot, from this Python or from the folder beside this file."""
    try:
        import numpy
        import uproot
    except ImportError:
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "packages"))
        import numpy
        import uproot
    return numpy, uproot


def read(path):
    """The slices of a file as they stand in it: headers, and for each its frames."""
    numpy, uproot = packages()
    try:
        tree = uproot.open(path)["KM3NET_SUMMARYSLICE/KM3NET_SUMMARYSLICE"]
    except (OSError, KeyError, ValueError) as error:
        raise Unreadable(f"{path} has no tree of summary slices: {error}") from error
    header, frame = numpy.dtype(HEADER), numpy.dtype(FRAME)
    headers = [record(data, header) for data in entries(tree, "KM3NETDAQ::JDAQSummarysliceHeader")]
    slices = []
    for data in entries(tree, "vector<KM3NETDAQ::JDAQSummaryFrame>"):
        frames = data[FRONT_OF_FRAMES:]
        if len(frames) % frame.itemsize:
            raise Unreadable(f"{len(frames)} bytes of frames are not a multiple of {frame.itemsize}")
        slices.append(numpy.frombuffer(frames, dtype=frame))
    if not headers or len(headers) != len(slices):
        raise Unreadable(f"{len(headers)} headers and {len(slices)} lists of frames")
    return numpy.concatenate(headers), slices


def entries(tree, name):
    """The bytes of each entry of a branch that ROOT has not split."""
    branch = tree[name]
    for index in range(branch.num_baskets):
        basket = branch.basket(index)
        ends = basket.byte_offsets
        for first, last in zip(ends[:-1], ends[1:]):
            yield basket.data[first:last].tobytes()


def record(data, kind):
    """One record; a length that does not fit is another version of the format."""
    import numpy

    if len(data) != kind.itemsize:
        raise Unreadable(f"a header has {len(data)} bytes, not {kind.itemsize}")
    return numpy.frombuffer(data, dtype=kind)


def ranges(numbers):
    """Sorted numbers as closed ranges."""
    found = []
    for number in numbers:
        if found and found[-1][1] + 1 == number:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def account_of_slices(headers, slices):
    """Which slices are here, which are not, and in which order they came."""
    numbers = [int(number) for number in headers["number"]]
    here = set(numbers)
    first, last = min(here), max(here)
    absent = [number for number in range(first, last + 1) if number not in here]
    modules = max(len(frames) for frames in slices)
    short = {number for number, frames in zip(numbers, slices) if len(frames) < modules}
    back = sum(after < before for before, after in zip(numbers, numbers[1:]))
    return {
        "first": first, "last": last, "expected": last - first + 1, "present": len(here),
        "absent": len(absent), "absent_ranges": ranges(absent),
        "cut_short": len(short), "cut_short_ranges": ranges(sorted(short)),
        "repeated": len(numbers) - len(here), "steps_back": back, "modules": modules,
        "modules_in_cut_short": sorted({len(frames) for frames in slices if len(frames) < modules}),
    }


def account_of_photomultipliers(slices):
    """Which photomultipliers never counted, beside what the data acquisition says of them."""
    import numpy

    frames = numpy.concatenate(slices)
    modules, at = numpy.unique(frames["module"], return_inverse=True)
    highest = numpy.zeros((len(modules), CHANNELS), dtype=int)
    numpy.maximum.at(highest, at, frames["rate"])
    vetoed = (frames["veto"][:, None] >> numpy.arange(CHANNELS) & 1).astype(bool)
    ever = numpy.zeros((len(modules), CHANNELS), dtype=bool)
    numpy.logical_or.at(ever, at, vetoed)
    silent = highest == 0
    too_high = khz(frames["rate"]) >= VETO_KHZ - 1e-9
    listed = [[int(modules[module]), int(channel)] for module, channel in zip(*silent.nonzero())]
    return {
        "photomultipliers": int(silent.size), "silent": len(listed), "silent_list": listed,
        "silent_and_vetoed": int((silent & ever).sum()),
        "readings": int(vetoed.size), "readings_vetoed": int(vetoed.sum()),
        "readings_at_or_above_20_khz": int(too_high.sum()),
        "readings_vetoed_below_20_khz": int((vetoed & ~too_high).sum()),
    }


def khz(rate):
    """Rates in kHz from their bytes."""
    import numpy

    return numpy.where(rate == 0, 0.0, RATE_MIN_KHZ * RATE_SPAN ** (rate / 255.0))


def histogram(name, title, unit, values, bins, lower, upper):
    """One axis with flow bins, as the UHI schema has it."""
    import numpy

    values = numpy.asarray(values, dtype=float)
    edges = numpy.linspace(lower, upper, bins + 1)
    inside, _ = numpy.histogram(values[values < upper], edges)
    contents = [int((values < lower).sum()), *map(int, inside), int((values >= upper).sum())]
    return {
        "uhi_schema": 1,
        "metadata": {"name": name, "title": title, "unit": unit, "entries": len(values)},
        "axes": [{"type": "regular", "lower": lower, "upper": upper, "bins": bins,
                  "underflow": True, "overflow": True, "circular": False}],
        "storage": {"type": "int", "values": contents},
    }


def histograms(headers, slices):
    """What a shifter looks at."""
    import numpy

    frames = numpy.concatenate(slices)
    modules, at = numpy.unique(frames["module"], return_inverse=True)
    total = numpy.zeros((len(modules), CHANNELS))
    numpy.add.at(total, at, khz(frames["rate"]))
    mean = total / numpy.bincount(at)[:, None]
    made = [
        histogram("slices/modules", "modules of a time slice", "modules",
                  [len(frames) for frames in slices], 500, 0.0, 500.0),
        histogram("slices/step", "number less that of the slice before", "slices",
                  numpy.diff(headers["number"].astype(int)), 200, -100.0, 100.0),
        histogram("rates/photomultiplier", "mean rate of a photomultiplier", "kHz",
                  mean.ravel(), 100, 0.0, 50.0),
    ]
    return {each["metadata"]["name"]: each for each in made}


def units(slices):
    """The account as the ledger keeps it."""
    note = (f"counted from slice {slices['first']} to {slices['last']} of the file: it does not say "
            "where the run began and ended")
    cut = {name: slices[name][:RANGES_MAX] for name in ("absent_ranges", "cut_short_ranges")}
    return {"units": "time slices", "expected": slices["expected"], "present": slices["present"],
            "absent": slices["absent"], "absent_ranges": cut["absent_ranges"],
            "partial": slices["cut_short"], "partial_ranges": cut["cut_short_ranges"],
            "repeated": slices["repeated"], "out_of_order": slices["steps_back"], "note": note}


def write(entry, document, events, lumis):
    """An output, and what the report says of it."""
    data = (json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n").encode()
    pathlib.Path(entry["path"]).write_bytes(data)
    return {"label": entry["label"], "path": entry["path"], "bytes": len(data),
            "adler32": f"{zlib.adler32(data):08x}", "events": events, "lumis": lumis}


def work(job):
    """The job's one file: outputs written, the report returned."""
    if len(job["inputs"]) != 1:
        raise Unreadable(f"{len(job['inputs'])} inputs; this program reads one file a job")
    given = job["inputs"][0]
    headers, slices = read(given["path"])
    runs = sorted({int(run) for run in headers["run"]})
    detectors = sorted({int(detector) for detector in headers["detector"]})
    if runs != [job["run"]] or len(detectors) != 1:
        raise Unreadable(f"{given['lfn']} holds runs {runs} of detectors {detectors}, "
                         f"its name says run {job['run']}")
    counted = account_of_slices(headers, slices)
    account = {"schema": 1, "file": given["lfn"], "run": runs[0], "detector": detectors[0],
               "slices": counted, "photomultipliers": account_of_photomultipliers(slices)}
    documents = {"ACCOUNT": account, "DQM": histograms(headers, slices)}
    outputs = [write(entry, documents[entry["label"]], len(slices), job["lumis"])
               for entry in job["outputs"]]
    return {"outputs": outputs, "events_read": len(slices), "events_written": len(slices),
            "metrics": {"units": [units(counted)]}, "exit": {"code": 0, "class": "ok", "message": ""}}


def failed(kind, message):
    return {"outputs": [], "exit": {"code": 1, "class": kind, "message": message}}


def main():
    job = json.loads(pathlib.Path(os.environ["TIER0_JOB"]).read_text())
    try:
        report = work(job)
    except Unreadable as error:
        report = failed("input", str(error))
    except ImportError as error:
        report = failed("site", f"{error}; `pip install uproot` for {sys.executable}")
    about = {"schema": 1, "job": job["job"], "attempt": job["attempt"]}
    pathlib.Path(os.environ["TIER0_REPORT"]).write_text(json.dumps({**about, **report}))
    return report["exit"]["code"]


if __name__ == "__main__":
    sys.exit(main())
