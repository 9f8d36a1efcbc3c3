"""Judge of a whole demo: what its document claims, confirmed from the published files.

    demo.py --document DEMO.json --folder DEMO_FOLDER

For each act of dimuons that was played the judges of events, beam spot and residual look at the data set that
was played, the published files and the exported constants; then the figures of the document are
compared with theirs. The telescope's act has a judge of its own. Prints one JSON line an act; exits 1 on any disagreement.
"""

import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# The gate of the embedded calibration pipeline: a run with fewer tracks decides nothing.
NEEDED_TRACKS = "50"
# The act whose data are of no dimuons.
TELESCOPE = 3


def judge(name, source, folder, *more):
    return run([sys.executable, str(HERE / name), "--source", str(source),
                "--published", str(folder / "published.json"), *more])


def run(command):
    """A judge's exit code and its answer."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        answer = {"said": done.stdout + done.stderr}
    return done.returncode, answer


def differences(act, answers):
    """Figures of the document against those of the judges."""
    found = []
    totals = act["totals"]
    if totals["runs"] != totals["runs_closed"]:
        found.append(f"{totals['runs'] - totals['runs_closed']} runs are not closed")
    if totals["jobs_failed"]:
        found.append(f"{totals['jobs_failed']} jobs failed")
    if totals["events_in"] != totals["events_out"]:
        found.append(f"events in {totals['events_in']}, out {totals['events_out']}")
    for run in act["runs"]:
        for dataset, events in run["events_by_dataset"].items():
            if events != run["events_in"]:
                found.append(f"run {run['run']}: {dataset} has {events} of {run['events_in']} events")
    residual = answers.get("residual.py", {})
    for name in ("before_um", "after_um"):
        if name in residual and abs(residual[name] - act["residual"][name]) > 0.01:
            found.append(f"residual {name}: document {act['residual'][name]}, judge {residual[name]}")
    return found


def look(act, folder, source):
    act_folder = folder / f"act{act['act']}"
    conditions = ["--conditions", str(act_folder / "conditions.json")]
    calls = [("events.py", [])]
    if act.get("beamspot"):
        calls += [("beamspot.py", conditions + ["--needed", NEEDED_TRACKS]),
                  ("residual.py", conditions)]
    answers, failed = {}, []
    for name, more in calls:
        code, answer = judge(name, source, act_folder, *more)
        answers[name] = answer
        if code:
            failed.append(f"{name} exits {code}: {json.dumps(answer)[:600]}")
    return answers, failed + differences(act, answers)


def telescope(arguments):
    """Act 3 has a judge of its own: nothing in it is of dimuons."""
    act = next(act for act in json.loads(arguments.document.read_text())["acts"] if act["act"] == TELESCOPE)
    return run([sys.executable, str(HERE / "km3net.py"), "--data", act["source"],
                "--document", str(arguments.document), "--folder", str(arguments.folder / "act3")])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--document", required=True, type=pathlib.Path)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    document = json.loads(arguments.document.read_text())
    played = [act for act in document["acts"] if act["status"] == "done"]
    if not played:
        print(json.dumps({"agrees": False, "why": "no act was played"}))
        return 1
    agrees = True
    for act in played:
        if act["act"] == TELESCOPE:
            code, answer = telescope(arguments)
            agrees = agrees and code == 0
            print(json.dumps({"act": act["act"], "agrees": code == 0, "km3net": answer}))
            continue
        answers, failed = look(act, arguments.folder, act["source"])
        agrees = agrees and not failed
        print(json.dumps({"act": act["act"], "agrees": not failed, "why": failed,
                          "residual": answers.get("residual.py"), "events": act["totals"]["events_out"]}))
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
