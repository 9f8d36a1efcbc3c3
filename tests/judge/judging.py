"""What the judges share: reading sources and published lists, and giving a verdict.

The judges confirm what the project claims from published files alone. They share no code with it:
sources and Parquet files are read with numpy, pyarrow and uproot. Every judge prints one JSON line and
exits 0 when it agrees, 1 when it does not, 2 when it could not look.
"""

import argparse
import csv
import json
import pathlib
import sys

import numpy
import pyarrow.parquet


# Percentile of a normal distribution one standard deviation below its mean.
ONE_SIGMA = 15.865525393145708


class CannotLook(Exception):
    """The arguments or files do not let a judge look at all."""


def source_rows(path):
    """(run, event) of every row of a data set, rows of one event counted once each row."""
    path = pathlib.Path(path)
    if path.suffix == ".root":
        import uproot

        tree = uproot.open(path)["events"]
        runs, events = (tree[name].array(library="np") for name in ("Run", "Event"))
        return [(int(run), int(event)) for run, event in zip(runs, events)]
    with open(path, newline="", encoding="utf-8") as file:
        return [(int(row["Run"]), int(row["Event"])) for row in csv.DictReader(file)]


def source_tracks(path):
    """Arrays run, phi, dxy of every muon of a CSV data set, in radian and cm."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "dxy1" not in rows[0]:
        raise CannotLook(f"{path} has no impact parameters")
    columns = ([], [], [])
    for row in rows:
        for muon in "12":
            columns[0].append(int(row["Run"]))
            columns[1].append(float(row["phi" + muon]))
            columns[2].append(float(row["dxy" + muon]))
    return tuple(numpy.array(column) for column in columns)


def published(path):
    """The list of published files: a JSON list, or a folder with Parquet files in it."""
    path = pathlib.Path(path)
    if path.is_dir():
        return [folder_entry(file) for file in sorted(path.rglob("*.parquet"))]
    base = path.parent
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    for entry in entries:
        entry["path"] = str(base / entry["path"])
    return entries


def folder_entry(file):
    """An entry made from a file's own columns: AOD has corrected quantities, RECO has counts."""
    names = pyarrow.parquet.read_schema(file).names
    tier = "AOD" if "mass_corrected_gev" in names else "RECO" if "n_rows" in names else "ALCA"
    return {"dataset": str(file.parent), "tier": tier, "path": str(file)}


def is_event_file(entry):
    """Whether a published file holds events in Parquet."""
    return entry["tier"] in ("RECO", "ALCA", "AOD") and entry["path"].endswith(".parquet")


def read_columns(path, names):
    """Columns of a Parquet file as numpy arrays; nulls become NaN."""
    table = pyarrow.parquet.read_table(path, columns=list(names))
    return [table[name].to_numpy() for name in names]


def fit_beamspot(phi, dxy):
    """Beam spot by linear least squares of dxy = -x0 sin(phi) + y0 cos(phi), clipped at 5 robust
    sigma until the kept set stands still. Gives x0, y0, their errors, and the tracks used."""
    kept = numpy.abs(dxy) < 0.5
    design = numpy.stack([-numpy.sin(phi), numpy.cos(phi)], axis=1)
    for _ in range(51):
        spot, *_ = numpy.linalg.lstsq(design[kept], dxy[kept], rcond=None)
        residual = dxy - design @ spot
        inside = residual[kept]
        width = 1.4826 * numpy.median(numpy.abs(inside - numpy.median(inside)))
        again = (numpy.abs(residual) < 5 * width) & (numpy.abs(dxy) < 0.5)
        if width == 0 or (again == kept).all():
            break
        kept = again
    chosen = design[kept]
    variance = numpy.sum(residual[kept] ** 2) / (len(chosen) - 2)
    errors = numpy.sqrt(numpy.diag(numpy.linalg.inv(chosen.T @ chosen) * variance))
    return float(spot[0]), float(spot[1]), float(errors[0]), float(errors[1]), int(kept.sum())


def half_width_68(values):
    """Half of the span that holds the middle 68.27 percent."""
    low, high = numpy.percentile(values, [ONE_SIGMA, 100 - ONE_SIGMA])
    return float((high - low) / 2)


def conditions(path):
    """Exported constants by tag: lists of (since, payload) in order of since; the export is in order
    of insertion and a later row of the same since wins."""
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)
    tags = {}
    for row in rows:
        payload = row["payload"]
        payload = json.loads(payload) if isinstance(payload, str) else payload
        tags.setdefault(row["tag"], {})[int(row["since"])] = (row["hash"], payload)
    return {tag: sorted(rows.items()) for tag, rows in tags.items()}


def in_force(iovs, run):
    """(since, hash, payload) in force for a run, or None."""
    found = [(since, *rest) for since, rest in iovs if since <= run]
    return found[-1] if found else None


def arguments(about, *names):
    """Reads --name PATH for each name; a name that ends in ? is optional."""
    parser = argparse.ArgumentParser(description=about)
    for name in names:
        parser.add_argument("--" + name.rstrip("?"), required=not name.endswith("?"))
    return parser.parse_args()


def judge(name, look):
    """Runs a judge: `look` gives its figures and the list of disagreements."""
    try:
        figures, disagreements = look()
    except (CannotLook, OSError, KeyError, ValueError) as error:
        print(json.dumps({"judge": name, "agrees": None, "error": f"{type(error).__name__}: {error}"}))
        sys.exit(2)
    verdict = {"judge": name, "agrees": not disagreements, **figures}
    verdict["disagreements"] = disagreements[:10]
    verdict["n_disagreements"] = len(disagreements)
    print(json.dumps(verdict))
    sys.exit(1 if disagreements else 0)
