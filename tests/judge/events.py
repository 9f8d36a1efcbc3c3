"""Judge: the set of (run, event) of the source equals that of each published event dataset.

    events.py --source FILE --published LIST.json|FOLDER [--drop-run N]... [--subset]

Each event must be published exactly once in each tier. Files of one tier count together. With
`--subset` (a fraction was played) every tier must hold the same events, all of them in the source.
"""

import collections

import judging


def look(source, published):
    wanted = source.pairs()
    tiers = collections.defaultdict(collections.Counter)
    disagreements = []
    files = 0
    for entry in filter(judging.is_event_file, judging.published(published)):
        files += 1
        runs, events = judging.read_columns(entry["path"], ("run", "event"))
        pairs = list(zip(map(int, runs), map(int, events)))
        if "events" in entry and entry["events"] != len(pairs):
            said = entry["events"]
            disagreements.append(f"{entry['path']}: {len(pairs)} events, the list says {said}")
        if entry.get("run") is not None and any(run != entry["run"] for run, _ in pairs):
            disagreements.append(f"{entry['path']}: events of other runs than {entry['run']}")
        tiers[entry["tier"]].update(pairs)
    if not tiers:
        raise judging.CannotLook("no event files among the published ones")
    for tier, seen in sorted(tiers.items()):
        got = set(seen)
        lost, foreign = sorted(wanted - got), sorted(got - wanted)
        doubled = sorted(pair for pair, times in seen.items() if times > 1)
        for what, pairs in (("lost", lost), ("not in the source", foreign), ("doubled", doubled)):
            if pairs:
                disagreements.append(f"{tier}: {len(pairs)} events {what}, first {pairs[0]}")
    figures = {
        "source_events": len(wanted),
        "files": files,
        "published_events": {tier: sum(seen.values()) for tier, seen in sorted(tiers.items())},
    }
    return figures, disagreements


if __name__ == "__main__":
    args = judging.arguments(__doc__, "published").parse_args()
    judging.judge("events", lambda: look(judging.Source(args), args.published))
