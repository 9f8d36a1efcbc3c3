#!/usr/bin/env python3
"""A calibration algorithm by plugin: the beam spot from sums of tracks, lumi by lumi.

A track of azimuth phi passes the origin at dxy = -x0 sin(phi) + y0 cos(phi): a linear fit, whose
normal equations are the sums in `tracks`. The answer's payload holds the same numbers.
"""
import json
import sys


def measure(ask):
    """The answer to one question: quantities with errors, or a reason why there are none."""
    names = ("n", "a00", "a01", "a11", "b0_cm", "b1_cm", "dxy2_cm2")
    n, a00, a01, a11, b0, b1, dxy2 = (sum(lumi[name] for lumi in ask["tracks"]) for name in names)
    determinant = a00 * a11 - a01 * a01
    if n < 3 or determinant <= 1e-10 * n * n:
        return {"n": n, "reason": f"{n} tracks fix no beam spot"}
    x0 = (a11 * b0 - a01 * b1) / determinant
    y0 = (a00 * b1 - a01 * b0) / determinant
    variance = max(dxy2 - x0 * b0 - y0 * b1, 0.0) / (n - 2)
    x0_error, y0_error = (variance * a11 / determinant) ** 0.5, (variance * a00 / determinant) ** 0.5
    return {"n": n, "payload": {"x0_cm": x0, "y0_cm": y0, "runs": [ask["run"], ask["run"]]},
            "quantities": [{"name": "x0_cm", "value": x0, "error": x0_error},
                           {"name": "y0_cm", "value": y0, "error": y0_error}]}


def say(**line):
    """One line of JSON; talk goes to stderr."""
    print(json.dumps(line), flush=True)


say(hello={"program": "beam_centre", "protocol": 1})
for line in map(json.loads, sys.stdin):
    if "quit" in line:
        break
    say(answer={"request_id": line["ask"]["request_id"], **measure(line["ask"])})
