"""Judge: independent fits of the beam spot, run by run, agree with the exported constants.

    beamspot.py --source FILE.csv --published LIST.json|FOLDER --conditions EXPORT.json
                [--needed TRACKS] [--drop-run N]... [--shift-vertex X,Y] [--subset]

The fit is numpy's least squares on the source rows. Where an IOV of the tag `beamspot` begins, its
payload must equal the fit of that run (to 1e-6 cm). A run joins the IOV of the runs before it
exactly when it lies within 3 sigma of their weighted mean in both coordinates: a run that joined
from further away, or opened an IOV from nearer, is a disagreement. Runs with fewer tracks than
--needed decide nothing.
"""

import math

import numpy

import judging

TOLERANCE_CM = 1e-6
SIGMAS = 3.0
# Decisions are made on whole numbers of 1e-9 cm: at the very edge both answers are right.
EDGE = 0.01
NEEDED_TRACKS = 100


def pull(members, spot):
    """Largest distance in sigma of a fit from the weighted mean of others, over x0 and y0."""
    worst = 0.0
    for axis in (0, 1):
        weights = [1 / member[2 + axis] ** 2 for member in members]
        mean = sum(w * member[axis] for w, member in zip(weights, members)) / sum(weights)
        error = math.hypot(spot[2 + axis], math.sqrt(1 / sum(weights)))
        worst = max(worst, abs(spot[axis] - mean) / error)
    return worst


def look(source, conditions, needed):
    iovs = judging.conditions(conditions).get("beamspot", [])
    if not iovs:
        raise judging.CannotLook("no IOV of the tag beamspot in the export")
    sinces = {since: payload for since, (_, payload) in iovs}
    runs, phi, dxy = source.tracks()
    disagreements, table, members = [], [], []
    for run in map(int, numpy.unique(runs)):
        mine = runs == run
        spot = judging.fit_beamspot(phi[mine], dxy[mine])
        used = spot[4]
        apart = pull(members, spot) if members else None
        table.append({"run": run, "x0_cm": spot[0], "y0_cm": spot[1], "n_used": used,
                      "opens": run in sinces, "sigmas_from_open_iov": apart})
        if run in sinces:
            payload = sinces[run]
            off = (payload["x0_cm"] - spot[0], payload["y0_cm"] - spot[1])
            if max(map(abs, off)) > TOLERANCE_CM:
                disagreements.append(f"run {run}: payload is off by {off} cm from the fit")
            if payload["n_used"] != used:
                disagreements.append(f"run {run}: {payload['n_used']} tracks used, fit uses {used}")
            if apart is not None and apart < SIGMAS - EDGE:
                disagreements.append(f"run {run}: opens an IOV at {apart:.2f} sigma")
            members = [spot]
        elif used >= needed:
            if apart is None:
                disagreements.append(f"run {run}: no constant in force, {used} tracks fitted")
            elif apart > SIGMAS + EDGE:
                disagreements.append(f"run {run}: joined an IOV at {apart:.2f} sigma")
            else:
                members.append(spot)
    foreign = sorted(set(sinces) - {row["run"] for row in table})
    if foreign:
        disagreements.append(f"IOVs begin at runs that are not in the source: {foreign}")
    x0, y0, x0_err, y0_err, used = judging.fit_beamspot(phi, dxy)
    figures = {
        "runs": len(table),
        "iovs": len(iovs),
        "all_runs": {"x0_cm": x0, "y0_cm": y0, "x0_err_cm": x0_err, "y0_err_cm": y0_err,
                     "n_used": used},
        "table": table,
    }
    return figures, disagreements


if __name__ == "__main__":
    parser = judging.arguments(__doc__, "published", "conditions")
    parser.add_argument("--needed", type=int, default=NEEDED_TRACKS)
    args = parser.parse_args()
    judging.judge("beamspot", lambda: look(judging.Source(args), args.conditions, args.needed))
