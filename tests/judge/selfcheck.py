"""Self check of the judges: on good data they agree, on data broken once they disagree.

    selfcheck.py

Makes a small data set, publishes it as the project does, and breaks one thing at a time. Prints one
line a case and exits 1 when a judge did not say what it should have.
"""

import copy
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import pyarrow
import pyarrow.parquet

import judging

HERE = pathlib.Path(__file__).parent
SPOTS = {11: (0.07, 0.04), 12: (0.07, 0.04), 13: (0.05, 0.06)}


def make_source(path):
    random = numpy.random.default_rng(5)
    header = "Run,Event,pt1,eta1,phi1,Q1,dxy1,iso1,pt2,eta2,phi2,Q2,dxy2,iso2".split(",")
    rows = []
    for run, (x0, y0) in SPOTS.items():
        for event in range(1, 201):
            row = [run, event * 7]
            for charge in (1, -1):
                phi = round(random.uniform(-numpy.pi, numpy.pi), 6)
                dxy = -x0 * numpy.sin(phi) + y0 * numpy.cos(phi) + random.normal(0, 0.003)
                row += [40.0, 0.5, phi, charge, round(float(dxy), 7), 0.0]
            rows.append(row)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return header, rows


def make_conditions(header, rows):
    both = [(row[0], row[header.index("phi" + m)], row[header.index("dxy" + m)])
            for row in rows for m in "12"]
    runs, phi, dxy = map(numpy.array, zip(*both))
    export = []
    for since in (11, 13):
        mine = runs == since
        x0, y0, x0_err, y0_err, used = judging.fit_beamspot(phi[mine], dxy[mine])
        payload = {"x0_cm": x0, "y0_cm": y0, "x0_err_cm": x0_err, "y0_err_cm": y0_err,
                   "n_used": used}
        export.append({"tag": "beamspot", "since": since, "hash": f"h{since}", "payload": payload})
    return export


def make_published(folder, header, rows, export):
    """One AOD file a run, as columns of the source and corrected impact parameters."""
    listed = []
    for run in SPOTS:
        mine = [dict(zip(header, row)) for row in rows if row[0] == run]
        spot = [row["payload"] for row in export if row["since"] <= run][-1]
        columns = {"run": [row["Run"] for row in mine], "event": [row["Event"] for row in mine]}
        for muon in "12":
            phi = numpy.array([row["phi" + muon] for row in mine])
            dxy = numpy.array([row["dxy" + muon] for row in mine])
            columns["phi" + muon], columns["dxy" + muon] = phi, dxy
            predicted = -spot["x0_cm"] * numpy.sin(phi) + spot["y0_cm"] * numpy.cos(phi)
            columns[f"dxy{muon}_corrected_cm"] = dxy - predicted
        name = f"aod{run}.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / name)
        listed.append({"dataset": "/Muons/Demo/AOD", "tier": "AOD", "path": name, "run": run,
                       "events": len(mine)})
    return listed


def ask(judge, folder, more):
    command = [sys.executable, HERE / f"{judge}.py", "--source", folder / "source.csv",
               "--published", folder / "list.json", *more]
    if judge != "events":
        command += ["--conditions", folder / "export.json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rewrite(folder, name, change):
    table = pyarrow.parquet.read_table(folder / name).to_pydict()
    change(table)
    pyarrow.parquet.write_table(pyarrow.table(table), folder / name)


def lose_an_event(folder, listed, export):
    rewrite(folder, "aod12.parquet", lambda t: [column.pop() for column in t.values()])
    listed[1]["events"] -= 1


def double_an_event(folder, listed, export):
    rewrite(folder, "aod12.parquet", lambda t: [c.append(c[0]) for c in t.values()])
    listed[1]["events"] += 1


def rename_an_event(folder, listed, export):
    rewrite(folder, "aod12.parquet", lambda t: t["event"].__setitem__(0, 1))


def miscount(folder, listed, export):
    listed[0]["events"] += 1


def wrong_constant_applied(folder, listed, export):
    export[1]["payload"]["x0_cm"] += 1e-5


def one_iov_too_few(folder, listed, export):
    del export[1]


def one_iov_too_many(folder, listed, export):
    extra = copy.deepcopy(export[0])
    extra["since"] = 12
    export.insert(1, extra)


def not_corrected(folder, listed, export):
    def change(table):
        for muon in "12":
            table[f"dxy{muon}_corrected_cm"] = table[f"dxy{muon}"]
    rewrite(folder, "aod13.parquet", change)


def other_tracks(folder, listed, export):
    def change(table):
        for name in ("dxy1", "dxy1_corrected_cm"):
            table[name] = [value + 0.01 for value in table[name]]
    rewrite(folder, "aod13.parquet", change)


CASES = [
    ("events", None, 0),
    ("residual", None, 0),
    ("beamspot", None, 0),
    ("events", lose_an_event, 1),
    ("events", lose_an_event, 0, "--subset"),
    ("events", rename_an_event, 1, "--subset"),
    ("events", None, 1, "--drop-run", "12"),
    ("residual", None, 1, "--shift-vertex", "0.001,0"),
    ("beamspot", None, 1, "--shift-vertex", "0.001,0"),
    ("events", double_an_event, 1),
    ("events", rename_an_event, 1),
    ("events", miscount, 1),
    ("beamspot", wrong_constant_applied, 1),
    ("beamspot", one_iov_too_few, 1),
    ("beamspot", one_iov_too_many, 1),
    ("residual", wrong_constant_applied, 1),
    ("residual", not_corrected, 1),
    ("residual", other_tracks, 1),
]


def main():
    wrong = 0
    for judge, breakage, expect, *more in CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            header, rows = make_source(folder / "source.csv")
            export = make_conditions(header, rows)
            listed = make_published(folder, header, rows, export)
            if breakage:
                breakage(folder, listed, export)
            (folder / "list.json").write_text(json.dumps(listed), encoding="utf-8")
            (folder / "export.json").write_text(json.dumps(export), encoding="utf-8")
            result = ask(judge, folder, more)
        ok = result.returncode == expect and result.stdout.count("\n") == 1
        wrong += not ok
        what = " ".join([breakage.__name__ if breakage else "good data", *more])
        print(f"{'ok' if ok else 'WRONG'} {judge}: {what}: exit {result.returncode}")
        if not ok:
            print(result.stdout, result.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
