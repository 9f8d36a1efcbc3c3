"""Judge: ROOT files, ROOT JSON and records of monitor elements say the same, and ROOT agrees.

    root_files.py --folder FOLDER [--needs-root]

FOLDER is what `cargo run --release -p tier0-dqm --example root_files -- FOLDER` has left. uproot
reads every bin, error and number of entries of every object back and compares with the record (UHI
JSON); boost-histogram reads the record where it is installed. With the Python package `root`
(0.1a12, 250 MB, hence not among the requirements) ROOT itself opens the files without a warning,
finds the descriptions of classes equal to its own, agrees on means, chi-square and Kolmogorov tests
to 1e-9, reads the JSON and writes the same, and `hadd` of two pieces is the sum of this project.
Without it the judge says that ROOT was not asked, and with --needs-root that is a failure to look.
"""

import argparse
import importlib.util
import json
import math
import pathlib
import re
import subprocess
import sys

import numpy
import uproot

import judging

RELATIVE = 1e-9
PIECES = ("a", "b", "sum", "plain")
# What ROOT says when something is not as it should be.
COMPLAINT = re.compile(r"^(Warning|Error|SysError|Fatal)\b.* in <|zombie|segmentation")


def near(a, b):
    return a == b or math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-12)


class Look:
    """Comparisons, counted."""

    def __init__(self):
        self.compared = 0
        self.disagreements = []

    def same(self, what, got, expect, exactly=False):
        self.compared += 1
        got, expect = numpy.asarray(got, dtype=float), numpy.asarray(expect, dtype=float)
        close = got.shape == expect.shape and (
            (got == expect).all() if exactly
            else numpy.allclose(got, expect, rtol=RELATIVE, atol=1e-12)
        )
        if not close:
            self.disagreements.append(f"{what}: {got.tolist()} is not {expect.tolist()}"[:300])

    def true(self, what, holds):
        self.compared += 1
        if not holds:
            self.disagreements.append(what)


def place(run, path):
    """Where an element lies in a file."""
    subsystem, rest = path.split("/", 1)
    return f"DQMData/Run {run}/{subsystem}/Run summary/{rest}"


def exact_sums(record):
    """The sums of a record that a number of 64 bits does not hold, or that it has nowhere else."""
    text = record["metadata"].get("exact", "")
    pairs = (item.split("=") for item in text.split(";") if item)
    return {name: math.fsum(map(float, parts.split(","))) for name, parts in pairs if parts}


def expected(record):
    """Contents, variances and entries of a record, with flow bins; of a profile means and errors."""
    storage, metadata = record["storage"], record["metadata"]
    if storage["type"] in ("int", "double", "weighted"):
        values = numpy.array(storage["values"], dtype=float)
        variances = numpy.array(storage.get("variances", storage["values"]), dtype=float)
        return values, numpy.sqrt(variances), metadata["entries"]
    weights = numpy.array(storage.get("counts", storage.get("sum_of_weights")), dtype=float)
    squares = numpy.array(storage.get("sum_of_weights_squared", weights), dtype=float)
    sums = exact_sums(record)
    bins = range(len(weights))
    y, y2 = (numpy.array([sums.get(f"{n}[{i}]", 0.0) for i in bins]) for n in ("y", "y2"))
    filled = weights != 0
    safe = numpy.where(filled, weights, 1)
    means = numpy.where(filled, y / safe, 0)
    errors = numpy.where(filled, numpy.sqrt(numpy.abs(y2 / safe - means**2)), 0)
    if metadata["error"] == "mean":
        errors = numpy.where(filled, errors / numpy.sqrt(safe**2 / numpy.where(filled, squares, 1)), 0)
    return means, errors, metadata["entries"]


def ask_uproot(look, folder, run):
    for piece in PIECES:
        records = json.loads((folder / f"{piece}.uhi.json").read_text(encoding="utf-8"))
        with uproot.open(folder / f"{piece}.root") as file:
            keys = {key.split(";")[0] for key, kind in file.classnames().items()
                    if kind != "TDirectory"}
            look.true(f"{piece}: other objects than elements", keys == {place(run, p) for p in records})
            for path, record in records.items():
                found = file[place(run, path)]
                what = f"{piece} {path} by uproot"
                if not record["axes"]:
                    count = f"<{path.split('/')[-1]}>i={record['storage']['values']}</"
                    look.true(what, str(found).startswith(count))
                    continue
                if record["axes"][0]["type"] == "category_str":
                    look.true(what, f"s={record['axes'][0]['categories'][0]}<" in str(found))
                    continue
                values, errors, entries = expected(record)
                look.same(f"{what}: contents", found.values(flow=True), values,
                          exactly=record["storage"]["type"] == "int")
                # uproot has its own idea of an error where a profile has no spread; ROOT is asked.
                if "error" not in record["metadata"]:
                    look.same(f"{what}: errors", found.errors(flow=True), errors)
                look.same(f"{what}: entries", found.member("fEntries"), entries, exactly=True)
                for axis, of in zip(record["axes"], ("fXaxis", "fYaxis")):
                    edges = [found.member(of).member(m) for m in ("fNbins", "fXmin", "fXmax")]
                    look.same(f"{what}: {of}", edges, [axis["bins"], axis["lower"], axis["upper"]],
                              exactly=True)
                names = {"sum_w": "fTsumw", "sum_wx": "fTsumwx", "sum_wx2": "fTsumwx2",
                         "sum_wy": "fTsumwy", "sum_wy2": "fTsumwy2", "sum_wxy": "fTsumwxy"}
                for name, member in names.items():
                    if name in record["metadata"]:
                        look.same(f"{what}: {member}", found.member(member),
                                  record["metadata"][name], exactly=True)


def ask_boost(look, folder):
    """Whether other tools read the record."""
    import boost_histogram
    import uhi.io.json
    import uhi.schema

    for piece in PIECES:
        text = (folder / f"{piece}.uhi.json").read_text(encoding="utf-8")
        uhi.schema.validate(json.loads(text))
        for path, record in json.loads(text, object_hook=uhi.io.json.object_hook).items():
            histogram = boost_histogram.Histogram(record)
            if histogram.axes:
                values = numpy.asarray(histogram.values(flow=True))
                look.same(f"{piece} {path} by boost-histogram", values, record["storage"]["values"])


def compare_tests(look, ROOT, pieces, tests, run):
    from ctypes import c_double, c_int

    for path, ours in tests["a_with_b"].items():
        a, b = (pieces[name].Get(place(run, path)) for name in ("a", "b"))
        chi2, ndf, good = c_double(), c_int(), c_int()
        option = "WW" if a.GetSumw2N() else "UU"
        p = a.Chi2TestX(b, chi2, ndf, good, option)
        look.same(f"{path}: Chi2Test", [chi2.value, ndf.value, good.value, p],
                  [ours["chi2"], ours["ndof"], ours["igood"], ours["p"]])
        if "ks" in ours:
            theirs = [a.KolmogorovTest(b), a.KolmogorovTest(b, "M")]
            look.same(f"{path}: KolmogorovTest", theirs, [ours["ks"], ours["ks_distance"]])
    for name, ours in tests.get("mixed", {}).items():
        a, b = (pieces["a"].Get(place(run, path)) for path in ours["paths"])
        chi2, ndf, good = c_double(), c_int(), c_int()
        p = a.Chi2TestX(b, chi2, ndf, good, "UW")
        look.same(f"{name}: Chi2Test UW", [chi2.value, ndf.value, good.value, p],
                  [ours["chi2"], ours["ndof"], ours["igood"], ours["p"]])


def described(file):
    """Classes of a file as ROOT reads their descriptions."""
    found = {}
    for info in file.GetStreamerInfoList():
        if info.ClassName() == "TStreamerInfo":
            members = [(m.ClassName(), m.GetName(), m.GetTitle(), m.GetType(), m.GetSize(),
                        m.GetTypeName(), m.GetMaxIndex(1)) for m in info.GetElements()]
            found[info.GetName()] = (info.GetClassVersion(), info.GetCheckSum(), members)
    return found


def in_root(folder):
    """What a process of its own does with ROOT, so that its complaints can be heard."""
    import ROOT

    look = Look()
    tests = json.loads((folder / "tests.json").read_text(encoding="utf-8"))
    run = tests["run"]
    pieces = {piece: ROOT.TFile.Open(str(folder / f"{piece}.root")) for piece in PIECES}
    compare_tests(look, ROOT, pieces, tests, run)
    merged = ROOT.TFile.Open(str(folder / "hadd.root"))
    own = ROOT.TFile(str(folder / "own.root"), "RECREATE", "", 0)
    for piece, file in pieces.items():
        records = json.loads((folder / f"{piece}.uhi.json").read_text(encoding="utf-8"))
        objects = json.loads((folder / f"{piece}.objects.json").read_text(encoding="utf-8"))
        for path, record in records.items():
            found = file.Get(place(run, path))
            what = f"{piece} {path} by ROOT"
            text = str(ROOT.TBufferJSON.ToJSON(found, 0))
            look.true(f"{what}: other JSON", close_json(json.loads(text), json.loads(objects[path])))
            again = ROOT.TBufferJSON.ConvertFromJSON(objects[path])
            look.true(f"{what}: JSON is not read", bool(again) and again.ClassName() == found.ClassName())
            own.cd()
            found.Write(f"{piece} {path}".replace("/", " "))
            if not found.InheritsFrom("TH1"):
                continue
            values, errors, entries = expected(record)
            for who, seen in ((what, found), (f"{what} from JSON", again)):
                two = seen.GetDimension() == 2
                shape = [seen.GetNbinsX() + 2] + ([seen.GetNbinsY() + 2] if two else [])
                cells = [seen.GetBin(*i) for i in numpy.ndindex(*shape)]
                for name, get, expect in (("contents", seen.GetBinContent, values),
                                          ("errors", seen.GetBinError, errors)):
                    got = numpy.array([get(cell) for cell in cells]).reshape(shape)
                    look.same(f"{who}: {name}", got, expect)
                look.same(f"{who}: entries", seen.GetEntries(), entries, exactly=True)
                metadata = record["metadata"]
                if metadata["sum_w"]:
                    mean = metadata["sum_wx"] / metadata["sum_w"]
                    look.same(f"{who}: mean", seen.GetMean(), mean)
            if piece == "sum":
                together = merged.Get(place(run, path))
                for cell in range(found.GetNcells()):
                    for get in ("GetBinContent", "GetBinError"):
                        pair = [getattr(of, get)(cell) for of in (together, found)]
                        look.true(f"hadd of {path}, cell {cell}: {pair}", near(*pair))
                for get in ("GetEntries", "GetMean", "GetStdDev"):
                    pair = [getattr(of, get)() for of in (together, found)]
                    look.true(f"hadd of {path}: {get} {pair}", near(*pair))
    own.Write()
    theirs, ours = described(own), described(pieces["a"])
    for name, info in theirs.items():
        look.true(f"the class {name} is described as {ours.get(name)}, not {info}", ours.get(name) == info)
    for file in pieces.values():
        look.true(f"{file.GetName()} had to be recovered", not file.TestBit(ROOT.TFile.kRecovered))
        look.true(f"{file.GetName()} is broken", not file.IsZombie())
    print(json.dumps({"compared": look.compared, "disagreements": look.disagreements[:20],
                      "version": str(ROOT.gROOT.GetVersion())}))


def close_json(a, b):
    """Equal but for the last digits, and for whether a number has a point; order included."""
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(close_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close_json, a, b))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        # ROOT writes 14 digits at most.
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12)
    return a == b


def ask_root(look, folder, figures):
    package = pathlib.Path(importlib.util.find_spec("ROOT").origin).parent
    merge = [str(package / "bin" / "hadd"), "-f0", "hadd.root", "a.root", "b.root"]
    merged = subprocess.run(merge, cwd=folder, capture_output=True, text=True, timeout=300,
                            check=False)
    look.true(f"hadd fails: {merged.stderr[:300]}", merged.returncode == 0)
    command = [sys.executable, "-W", "ignore", __file__, "--folder", str(folder), "--in-root"]
    child = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    said = merged.stdout + merged.stderr + child.stderr
    complaints = [line for line in said.splitlines() if COMPLAINT.search(line)]
    look.disagreements += [f"ROOT complains: {line}" for line in complaints[:5]]
    if child.returncode != 0:
        look.disagreements.append(f"ROOT ends with {child.returncode}: {child.stderr[-300:]}")
        return
    found = json.loads(child.stdout.strip().splitlines()[-1])
    look.compared += found["compared"]
    look.disagreements += found["disagreements"]
    figures["root"] = found["version"]


def examine(folder, needs_root):
    look = Look()
    run = json.loads((folder / "tests.json").read_text(encoding="utf-8"))["run"]
    figures = {"root": "not asked: the package root is not installed", "boost_histogram": False}
    ask_uproot(look, folder, run)
    if importlib.util.find_spec("boost_histogram") and importlib.util.find_spec("uhi"):
        ask_boost(look, folder)
        figures["boost_histogram"] = True
    if importlib.util.find_spec("ROOT"):
        ask_root(look, folder, figures)
    elif needs_root:
        raise judging.CannotLook("the package root is not installed")
    return {"compared": look.compared, **figures}, look.disagreements


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--needs-root", action="store_true", help="ROOT has to be asked")
    parser.add_argument("--in-root", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.in_root:
        in_root(args.folder)
    else:
        judging.judge("root_files", lambda: examine(args.folder, args.needs_root))


if __name__ == "__main__":
    main()
