#!/usr/bin/env python3
"""A quality test by plugin: a histogram must not be wider than parameter `rms_max`, in its own unit.

Asked with one monitor element as UHI JSON, it answers with a status, a value from 0 to 1, a message.
"""
import json
import sys


def test(ask):
    """Status, value and message for one element."""
    axis = ask["uhi"]["axes"][0]
    counts = ask["uhi"]["storage"]["values"][1:-1]  # without under- and overflow
    width = (axis["upper"] - axis["lower"]) / axis["bins"]
    centres = [axis["lower"] + (n + 0.5) * width for n in range(axis["bins"])]
    entries = sum(counts)
    least, rms_max = ask["parameters"].get("min_entries", 50), ask["parameters"]["rms_max"]
    if entries < least:
        return "insufficient_statistics", 0.0, f"{entries} entries, {least} needed"
    mean = sum(n * x for n, x in zip(counts, centres)) / entries
    rms = (sum(n * (x - mean) ** 2 for n, x in zip(counts, centres)) / entries) ** 0.5
    good = rms <= rms_max
    message = f"mean {mean:.3f}, rms {rms:.3f}, at most {rms_max} expected"
    return "ok" if good else "error", 1.0 if good else rms_max / rms, message


def say(**line):
    """One line of JSON; talk goes to stderr."""
    print(json.dumps(line), flush=True)


say(hello={"program": "peak_width", "protocol": 1})
for line in map(json.loads, sys.stdin):
    if "quit" in line:
        break
    status, value, message = test(line["ask"])
    say(answer={"request_id": line["ask"]["request_id"],
                "status": status, "value": value, "message": message})
