"""What the judges share: reading sources and published lists, and giving a verdict.

The judges confirm what the project claims from published files alone. They share no code with it:
sources and Parquet files are read with numpy, pyarrow and uproot. Every judge prints one JSON line
and exits 0 when it agrees, 1 when it does not, 2 when it could not look.
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


class Source:
    """A data set as it was played: without dropped runs, with a shifted vertex, or a part of it."""

    def __init__(self, args):
        self.path = pathlib.Path(args.source)
        self.dropped = set(args.drop_run)
        self.shift = tuple(map(float, args.shift_vertex.split(",")))
        # With --subset the replay chose events by itself: what is published says which.
        self.only = published_pairs(args.published) if args.subset else None

    def keeps(self, run, event):
        """Whether an event of the data set was played."""
        return run not in self.dropped and (self.only is None or (run, event) in self.only)

    def pairs(self):
        """The set of (run, event) that was played."""
        return {pair for pair in self._all_pairs() if self.keeps(*pair)}

    def _all_pairs(self):
        if self.path.suffix == ".root":
            import uproot

            tree = uproot.open(self.path)["events"]
            runs, events = (tree[name].array(library="np") for name in ("Run", "Event"))
            return [(int(run), int(event)) for run, event in zip(runs, events)]
        return [(int(row["Run"]), int(row["Event"])) for row in self._csv()]

    def tracks(self):
        """Arrays run, phi, dxy of every muon of a CSV data set, in radian and cm."""
        rows = [row for row in self._csv() if self.keeps(int(row["Run"]), int(row["Event"]))]
        if not rows or "dxy1" not in rows[0]:
            raise CannotLook(f"{self.path} has no impact parameters")
        columns = ([], [], [])
        for row in rows:
            for muon in "12":
                columns[0].append(int(row["Run"]))
                columns[1].append(float(row["phi" + muon]))
                columns[2].append(float(row["dxy" + muon]))
        run, phi, dxy = (numpy.array(column) for column in columns)
        return run, phi, dxy - self.shift[0] * numpy.sin(phi) + self.shift[1] * numpy.cos(phi)

    def _csv(self):
        with open(self.path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def published_pairs(path):
    """The set of (run, event) of all published event files."""
    pairs = set()
    for entry in filter(is_event_file, published(path)):
        runs, events = read_columns(entry["path"], ("run", "event"))
        pairs.update(zip(map(int, runs), map(int, events)))
    if not pairs:
        raise CannotLook("no event files among the published ones")
    return pairs


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
    """Exported constants by tag: lists of (since, (hash, payload)) in order of since; the export is
    in order of insertion and a later row of the same since wins."""
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
    """The arguments of a judge: the source and how it was played, and --name PATH for each name."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", required=True, help="the data set that was played")
    parser.add_argument("--drop-run", type=int, action="append", default=[], help="as played")
    parser.add_argument("--shift-vertex", default="0,0", metavar="X,Y", help="as played, in cm")
    parser.add_argument("--subset", action="store_true", help="a fraction was played")
    for name in names:
        parser.add_argument("--" + name, required=True)
    return parser


def judge(name, look):
    """Runs a judge: `look` gives its figures and the list of disagreements."""
    try:
        figures, disagreements = look()
    except (CannotLook, OSError, KeyError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        print(json.dumps({"judge": name, "agrees": None, "error": reason}))
        sys.exit(2)
    verdict = {"judge": name, "agrees": not disagreements, **figures}
    verdict["disagreements"] = disagreements[:10]
    verdict["n_disagreements"] = len(disagreements)
    print(json.dumps(verdict))
    sys.exit(1 if disagreements else 0)
