#!/usr/bin/env python3
"""A splitter by plugin: inputs of the same lumis stay together, packs are as full as they may be.

Asked with the complete input of a task in a run, it answers with groups of places in that list.
Lumis are taken from the largest to the smallest, each into the first pack with room (parameter
`max_bytes`); one that alone is larger gets a pack of its own. Every input is in exactly one group.
"""
import json
import sys


def split(ask):
    """Groups of places in `inputs`."""
    lumis = {}
    for place, one in enumerate(ask["inputs"]):
        lumis.setdefault((one["first_lumi"], one["last_lumi"]), []).append((place, one["bytes"]))
    sizes = {lumi: sum(size for _, size in files) for lumi, files in lumis.items()}
    packs = []  # [bytes, places]
    for lumi in sorted(lumis, key=lambda lumi: (-sizes[lumi], lumi)):
        room = ask["parameters"]["max_bytes"] - sizes[lumi]
        pack = next((pack for pack in packs if pack[0] <= room), None)
        if pack is None:
            pack = [0, []]
            packs.append(pack)
        pack[0] += sizes[lumi]
        pack[1] += [place for place, _ in lumis[lumi]]
    return [places for _, places in packs]


def say(**line):
    """One line of JSON; talk goes to stderr."""
    print(json.dumps(line), flush=True)


say(hello={"program": "pack_by_size", "protocol": 1})
for line in map(json.loads, sys.stdin):
    if "quit" in line:
        break
    say(answer={"request_id": line["ask"]["request_id"], "groups": split(line["ask"])})
