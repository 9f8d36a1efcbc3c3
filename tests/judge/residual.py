"""Judge: the residual of the impact parameter before and after the corrections of prompt.

    residual.py --source FILE.csv --published LIST.json|FOLDER --conditions EXPORT.json
                [--drop-run N]... [--shift-vertex X,Y] [--subset]

Before: dxy less the prediction of one beam spot for all runs, fitted here from the source. After:
dxy as published less the prediction of the exported constant in force, recomputed here; the
published corrected values must equal it to 1e-9 cm, and the half widths (68%) of both must agree.
With constants that follow the beam, after must not be wider than before.
"""

import numpy

import judging

TOLERANCE_CM = 1e-9


def predicted(x0, y0, phi):
    return -x0 * numpy.sin(phi) + y0 * numpy.cos(phi)


def look(source, published, conditions):
    iovs = judging.conditions(conditions).get("beamspot", [])
    _, phi, dxy = source.tracks()
    x0, y0, *_ = judging.fit_beamspot(phi, dxy)
    source_before = judging.half_width_68(dxy - predicted(x0, y0, phi))
    before, recomputed, stated, disagreements = [], [], [], []
    names = ["run"] + [f"{n}{i}{s}" for i in "12" for n, s in
                       (("phi", ""), ("dxy", ""), ("dxy", "_corrected_cm"))]
    for entry in judging.published(published):
        if entry["tier"] != "AOD" or not entry["path"].endswith(".parquet"):
            continue
        columns = dict(zip(names, judging.read_columns(entry["path"], names)))
        for run in map(int, numpy.unique(columns["run"])):
            mine = columns["run"] == run
            found = judging.in_force(iovs, run)
            spot = (found[2]["x0_cm"], found[2]["y0_cm"]) if found else (0.0, 0.0)
            for muon in "12":
                phi = columns["phi" + muon][mine]
                dxy = columns["dxy" + muon][mine]
                said = columns[f"dxy{muon}_corrected_cm"][mine]
                own = dxy - predicted(*spot, phi)
                worst = float(numpy.max(numpy.abs(own - said)))
                if not worst <= TOLERANCE_CM:
                    where = f"{entry['path']}: run {run} muon {muon}"
                    disagreements.append(f"{where}: corrected values differ by up to {worst} cm "
                                         "from the exported constant")
                before.append(dxy - predicted(x0, y0, phi))
                recomputed.append(own)
                stated.append(said)
    if not stated:
        raise judging.CannotLook("no AOD files among the published ones")
    before, recomputed, stated = (numpy.concatenate(part) for part in (before, recomputed, stated))
    widths = {
        "before_um": judging.half_width_68(before) * 1e4,
        "after_um": judging.half_width_68(recomputed) * 1e4,
        "after_stated_um": judging.half_width_68(stated) * 1e4,
        "source_before_um": source_before * 1e4,
    }
    if not abs(widths["after_um"] - widths["after_stated_um"]) < 1e-3:
        disagreements.append("the half width of the published residuals is not the recomputed one")
    if not abs(widths["before_um"] - widths["source_before_um"]) < 1e-3:
        disagreements.append("the published impact parameters are not those of the source")
    if not widths["after_um"] <= widths["before_um"]:
        disagreements.append("the residual is wider after the correction than before")
    return {"tracks": len(stated), **widths}, disagreements


if __name__ == "__main__":
    args = judging.arguments(__doc__, "published", "conditions").parse_args()
    judging.judge("residual", lambda: look(judging.Source(args), args.published, args.conditions))
