"""Judge: the constants of simulated runs against their truth.

    truth.py --published LIST.json --truth TRUTH.json

Every run's beam spot is fitted again from the published ALCA tables (numpy's least squares), and so
is the momentum scale of the runs that a HARVEST document names: a Breit-Wigner line folded with a
Gaussian by numerical quadrature, on a background that falls by 0.0536 per GeV, 60 bins from 75 to 105
GeV, Poisson likelihood by Fisher's scoring. What the harvest says must be these fits (beam spot to
1e-6 cm, k to 2 % of its error, errors to 2 %: two sets of tracks may clip each other in turn), and
fitted less true over error must be as a normal distribution has it: mean and width of all pulls
within 4 standard errors of 0 and 1, those of x0 with y0 and those of k.
"""

import argparse
import json
import math
import pathlib

import numpy

import judging

RANGE_GEV, BINS = (75.0, 105.0), 60
Z_MASS_GEV, Z_HWHM_GEV = 91.1876, 1.2476
SLOPE_PER_GEV, REFERENCE_GEV = 0.0536, 90.0  # of all 10,851 recorded pairs of 2011, and of generated ones
TOLERANCE_CM = 1e-6
RELATIVE = 0.02
STANDARD_ERRORS = 4.0
NODES, WEIGHTS = numpy.polynomial.legendre.leggauss(400)


def voigt(distance, sigma):
    """Density of the line at distances from the peak, in 1/GeV: quadrature over +- 9 sigma."""
    smear = 9.0 * NODES
    gauss = WEIGHTS * 9.0 * numpy.exp(-smear**2 / 2) / math.sqrt(2 * math.pi)
    from_line = distance[:, None] - sigma * smear[None, :]
    return (Z_HWHM_GEV / math.pi / (from_line**2 + Z_HWHM_GEV**2)) @ gauss


def expected(parameters):
    """Contents of the bins: density at the centre times width."""
    pairs, mass, sigma, level = parameters
    width = (RANGE_GEV[1] - RANGE_GEV[0]) / BINS
    centres = RANGE_GEV[0] + (numpy.arange(BINS) + 0.5) * width
    below = level * numpy.exp(-SLOPE_PER_GEV * (centres - REFERENCE_GEV))
    return width * (pairs * voigt(centres - mass, sigma) + below)


def slopes(parameters):
    """Derivatives of the contents, one row a parameter, by central differences."""
    rows = []
    for index, value in enumerate(parameters):
        step = 1e-5 * max(1.0, abs(value))
        up, down = (numpy.array(parameters, dtype=float) for _ in range(2))
        up[index] += step
        down[index] -= step
        rows.append((expected(up) - expected(down)) / (2 * step))
    return numpy.array(rows)


def minus_two_log(counts, contents):
    filled = counts > 0
    return 2 * (numpy.sum(contents - counts)
                + numpy.sum(counts[filled] * numpy.log(counts[filled] / contents[filled])))


def observed(counts, at):
    """Second derivatives of -2 ln L at the minimum, by differences of its gradient."""
    rows = []
    rough = numpy.linalg.inv(slopes(at) / expected(at) @ slopes(at).T)
    for index in range(len(at)):
        step = 0.05 * math.sqrt(rough[index, index])
        ends = []
        for sign in (1, -1):
            moved = at.copy()
            moved[index] += sign * step
            ends.append(2 * slopes(moved) @ (1 - counts / expected(moved)))
        rows.append((ends[0] - ends[1]) / (2 * step))
    return (numpy.array(rows) + numpy.array(rows).T) / 2


def fit_scale(masses):
    """k, its error and the pairs in the window."""
    counts = numpy.histogram(masses, bins=BINS, range=RANGE_GEV)[0].astype(float)
    total = counts.sum()
    at = numpy.array([0.9 * total, 90.9, 1.3, 0.1 * total / 30])
    value = minus_two_log(counts, expected(at))
    for _ in range(100):
        contents, by = expected(at), slopes(at)
        information = by / contents @ by.T
        step = numpy.linalg.solve(information, by @ (counts / contents - 1))
        scale = 1.0
        while scale > 1e-6:
            moved = at + scale * step
            moved[[0, 2, 3]] = numpy.maximum(moved[[0, 2, 3]], [1.0, 0.1, 1e-3])
            reached = minus_two_log(counts, expected(moved))
            if reached <= value:
                break
            scale /= 2
        done = abs(value - reached) < 1e-10
        at, value = moved, reached
        if done:
            break
    error = math.sqrt(2 * numpy.linalg.inv(observed(counts, at))[1, 1])
    return Z_MASS_GEV / at[1], Z_MASS_GEV / at[1] ** 2 * error, int(total)


def quantities(harvest, tag):
    """Quantities of a candidate by name: value and error."""
    candidate = next(c for c in harvest["candidates"] if c["tag"] == tag)
    return {q["name"]: (q["value_nano"] * 1e-9, q["error_nano"] * 1e-9) for q in candidate["quantities"]}


def spread(pulls):
    """Number, mean and width of pulls, and whether 4 standard errors hold them."""
    n, mean, width = len(pulls), float(numpy.mean(pulls)), float(numpy.std(pulls, ddof=1))
    holds = (abs(mean) < STANDARD_ERRORS / math.sqrt(n)
             and abs(width - 1) < STANDARD_ERRORS / math.sqrt(2 * (n - 1)))
    return {"n": n, "mean": mean, "width": width}, holds


def look(published, truth_path):
    truth = json.loads(pathlib.Path(truth_path).read_text(encoding="utf-8"))
    true = {run["run"]: run for run in truth["runs"]}
    tables, harvests = {}, []
    for entry in judging.published(published):
        if entry["tier"] == "ALCA":
            names = ("phi1", "dxy1", "phi2", "dxy2", "mass_gev")
            tables.setdefault(entry["run"], []).append(judging.read_columns(entry["path"], names))
        elif entry["tier"] == "HARVEST":
            harvests.append(json.loads(pathlib.Path(entry["path"]).read_text(encoding="utf-8")))
    if not harvests:
        raise judging.CannotLook("no HARVEST among the published files")
    spots, scales, disagreements = [], [], []
    for harvest in sorted(harvests, key=lambda h: h["run"]):
        run = harvest["run"]
        columns = [numpy.concatenate(parts) for parts in zip(*tables[run])]
        spot = judging.fit_beamspot(numpy.concatenate(columns[0:3:2]), numpy.concatenate(columns[1:4:2]))
        said = quantities(harvest, "beamspot")
        for index, name in enumerate(("x0_cm", "y0_cm")):
            value, error = said[name]
            if abs(value - spot[index]) > TOLERANCE_CM or abs(error / spot[2 + index] - 1) > RELATIVE:
                disagreements.append(f"run {run}: {name} is {said[name]}, fit {spot}")
            spots.append((spot[index] - true[run][name]) / spot[2 + index])
        masses = numpy.concatenate([part[4] for of in harvest["runs"] for part in tables[of]])
        k, error, n = fit_scale(masses)
        told = quantities(harvest, "scale").get("k")
        if told is None:
            disagreements.append(f"run {run}: no k, {n} pairs give {k} +- {error}")
            continue
        if abs(told[0] - k) > RELATIVE * error or abs(told[1] / error - 1) > RELATIVE:
            disagreements.append(f"run {run}: k is {told}, fit of {n} pairs {k} +- {error}")
        if harvest["runs"] == [run]:
            scales.append((k - truth["scale_k"]) / error)
    figures = {}
    for name, pulls in (("beamspot", spots), ("k", scales)):
        if len(pulls) < 3:
            raise judging.CannotLook(f"{len(pulls)} pulls of {name}")
        figures[name], holds = spread(pulls)
        if not holds:
            disagreements.append(f"pulls of {name}: {figures[name]}")
    return figures, disagreements


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--published", required=True)
    parser.add_argument("--truth", required=True)
    args = parser.parse_args()
    judging.judge("truth", lambda: look(args.published, args.truth))
