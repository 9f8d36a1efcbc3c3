"""Judge of the simulated act over many seeds: pulls of the beam spot, and the run with the step.

    pulls.py SEED1.json SEED2.json ...

Each argument is the document of `tier0 demo --acts 2 --json`; beside each `seedN.json` lies
`truthN.json`. Pulls are computed here from the fits that the document tells and the truth; their
mean must lie within 0.3 of 0, their width in 0.7 to 1.3, and in every seed an interval of validity
must begin with the run of the step. Prints one JSON line; exits 1 where that is not so.
"""

import json
import math
import pathlib
import sys


def look(path):
    act = json.loads(path.read_text())["acts"][0]
    truth = json.loads(path.with_name(path.name.replace("seed", "truth")).read_text())
    true = {run["run"]: run for run in truth["runs"]}
    pulls = []
    for run in act["runs"]:
        spot = next(c for c in run["constants"] if c["tag"].startswith("beamspot"))
        for name in ("x0_cm", "y0_cm"):
            pulls.append((spot["values"][name] - true[run["run"]][name]) / spot["errors"][name])
    begins = {c["since"] for run in act["runs"] for c in run["constants"]
              if c["tag"].startswith("beamspot") and c.get("since")}
    return pulls, truth["step_run"] in begins


def main():
    pulls, missed = [], []
    for name in sys.argv[1:]:
        more, found = look(pathlib.Path(name))
        pulls += more
        if not found:
            missed.append(name)
    mean = sum(pulls) / len(pulls)
    width = math.sqrt(sum((pull - mean) ** 2 for pull in pulls) / (len(pulls) - 1))
    agrees = abs(mean) < 0.3 and 0.7 < width < 1.3 and not missed
    print(json.dumps({"judge": "pulls", "agrees": agrees, "seeds": len(sys.argv) - 1,
                      "n": len(pulls), "mean": mean, "width": width, "step_missed": missed}))
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
