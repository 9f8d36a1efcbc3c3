"""Judge of a ledger at rest: what the rows of an instance say, confirmed among themselves and from
the bytes beside them.

    ledger.py FOLDER...           state folders of instances that have stopped, SQLite
    ledger.py --self-check FOLDER copies one and breaks it in each way; each must be noticed

Reads the tables themselves, hot and archived, and every file of the storage. An id and a name stand
for one thing; each input of a task went to one job, and the parts of one do not overlap; every
output is of the winning attempt of a job that is done, is in its place with the bytes that were
recorded, and was announced once; blocks and datasets hold what their outputs add up to; nothing
lies in the storage that no row knows; nothing of a finished run is still under way. Shares no code
with the project and needs nothing but Python. Prints one JSON line a folder; exits 0 when it agrees
with all of them, 1 when it does not, 2 when it could not look.
"""

import argparse
import collections
import contextlib
import json
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import zlib

# Words of states are in the ledger itself, in `state_name`.
AT_WORK = {"ready", "sent", "running", "committing", "parked"}
DISAGREEMENTS_SHOWN = 10


class CannotLook(Exception):
    """The folder does not let the judge look at all."""


class Ledger:
    """The tables of a stopped instance, each as the hot rows and the archived ones together."""

    def __init__(self, state):
        path = state / "tier0.db"
        if not path.exists():
            raise CannotLook(f"{path}: no ledger of SQLite is here")
        self.storage = state / "storage"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
            ledger.row_factory = sqlite3.Row
            tables = ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            names = {row[0] for row in tables if not row[0].startswith(("sqlite_", "_sqlx"))}
            self.tables = collections.defaultdict(list)
            for name in names:
                rows = ledger.execute(f'SELECT * FROM "{name}"')
                self.tables[name.removesuffix("_history")] += map(dict, rows)
        self.words = {(row["object"], row["state"]): row["word"]
                      for row in self.tables["state_name"]}

    def __getitem__(self, name):
        return self.tables[name]

    def word(self, kind, row):
        return self.words.get((kind, row["state"]), f"state {row['state']}")


class Judge:
    """Looks at one ledger and keeps what disagrees."""

    def __init__(self, ledger):
        self.ledger, self.disagreements = ledger, []
        self.jobs = {job["id"]: job for job in ledger["job"]}
        self.runs = {run["number"]: ledger.word("run", run) for run in ledger["run"]}

    def say(self, what):
        self.disagreements.append(what)

    def look(self):
        self.once("file", ("profile", "name"), ("id",))
        self.once("job", ("id",))
        self.once("output", ("id",), ("job", "label"), ("name",))
        self.once("consumed", ("pipeline", "task", "input_kind", "input", "first_event"))
        self.once("message", ("id",))
        self.look_at_numbers()
        self.look_at_inputs()
        self.look_at_jobs()
        self.look_at_outputs()
        self.look_at_storage()
        self.look_at_blocks()
        self.look_at_datasets()
        self.look_at_messages()
        return {"runs": len(self.runs), "files": len(self.ledger["file"]), "jobs": len(self.jobs),
                "outputs": len(self.ledger["output"])}

    def once(self, table, *keys):
        """Each of these keys names one row."""
        for key in keys:
            counts = collections.Counter(tuple(row[column] for column in key)
                                         for row in self.ledger[table])
            for values, count in counts.items():
                if count > 1:
                    self.say(f"{table} {values} is there {count} times")

    def look_at_numbers(self):
        """The next number that an agent gives is above all that it gave."""
        given = [row["id"] for name in ("file", "job", "output", "block", "message", "witness")
                 for row in self.ledger[name]]
        following = max((row["next_id"] or 0 for row in self.ledger["agent"]), default=0)
        if given and max(given) >= following:
            self.say(f"the next number is {following}, but {max(given)} was given")

    def look_at_inputs(self):
        """What a job consumed exists, is of its run, and no part of it went to another job."""
        known = {(1, row["id"]): row["run"] for row in self.ledger["file"]}
        known |= {(2, row["id"]): row["run"] for row in self.ledger["output"]}
        parts = collections.defaultdict(set)
        for row in self.ledger["consumed"]:
            what = (row["input_kind"], row["input"])
            job = self.jobs.get(row["job"])
            if job is None or what not in known:
                self.say(f"consumed {what} by job {row['job']}: one of them is not known")
            elif not job["run"] == known[what] == row["run"]:
                self.say(f"job {job['id']} of run {job['run']} consumed {what} of {known[what]}")
            parts[row["pipeline"], row["task"], what].add(row["first_event"])
        for (pipeline, task, what), starts in parts.items():
            if 0 not in starts:
                self.say(f"{pipeline}.{task} consumed {what} only from {min(starts)} on")

    def look_at_jobs(self):
        """Nothing of a finished run is under way."""
        for job in self.jobs.values():
            word = self.ledger.word("job", job)
            run = self.runs.get(job["run"])
            if run is None:
                self.say(f"job {job['id']} is of run {job['run']}, which is not known")
            elif run not in ("open", "ending", "closed") and word in AT_WORK:
                self.say(f"job {job['id']} is {word}, but run {job['run']} is {run}")

    def look_at_outputs(self):
        """Each output is of the winner, and lies there as it was recorded."""
        for row in self.ledger["output"]:
            body, job = json.loads(row["body"]), self.jobs.get(row["job"])
            if job is None or self.ledger.word("job", job) != "done" \
                    or job["attempt"] != body["attempt"]:
                self.say(f"{row['name']} is not of the winning attempt of job {row['job']}")
            if job is not None and job["run"] != row["run"]:
                self.say(f"{row['name']} is of run {row['run']}, its job of {job['run']}")
            if not row["name"].rsplit("/", 1)[1].startswith(
                    f"{row['label']}-{row['job']}-{body['attempt']}."):
                self.say(f"{row['name']} does not name its job and attempt")
            path = self.ledger.storage / row["name"]
            if not path.is_file():
                self.say(f"{row['name']} is not in its place")
                continue
            content = path.read_bytes()
            found = (len(content), zlib.adler32(content))
            if found != (row["bytes"], body["adler32"]):
                self.say(f"{row['name']}: {found}, recorded {(row['bytes'], body['adler32'])}")

    def look_at_storage(self):
        """Nothing lies there that no row knows."""
        known = {row["name"] for row in self.ledger["output"]}
        for path in self.ledger.storage.rglob("*"):
            name = path.relative_to(self.ledger.storage).as_posix()
            if path.is_file() and name not in known:
                self.say(f"{name} lies in the storage and no row knows it")

    def look_at_blocks(self):
        """A block holds what its outputs add up to, all of one run and dataset."""
        inside = collections.defaultdict(list)
        for row in self.ledger["output"]:
            if row["block"] is not None:
                inside[row["block"]].append(row)
        for block in self.ledger["block"]:
            outputs = inside.pop(block["id"], [])
            added = tuple(sum(column) for column in
                          ((1 for _ in outputs), (row["bytes"] for row in outputs),
                           (row["events"] for row in outputs)))
            told = (block["files"], block["bytes"], block["events"])
            if added != told:
                self.say(f"block {block['id']} says {told}, its outputs add up to {added}")
            for row in outputs:
                if (row["run"], row["dataset"]) != (block["run"], block["dataset"]):
                    self.say(f"{row['name']} is in block {block['id']} of {block['dataset']}")
            if self.runs.get(block["run"]) not in ("open", "ending", "closed") \
                    and self.ledger.word("block", block) != "closed":
                self.say(f"block {block['id']} is open, but run {block['run']} is over")
        for block in inside:
            self.say(f"block {block} has outputs and no row")

    def look_at_datasets(self):
        """A dataset holds what its closed blocks add up to."""
        totals = collections.defaultdict(lambda: [0, 0, 0, 0])
        for block in self.ledger["block"]:
            if self.ledger.word("block", block) == "closed":
                for at, value in enumerate((1, block["files"], block["bytes"], block["events"])):
                    totals[block["dataset"]][at] += value
        for row in self.ledger["dataset"]:
            told = [row["blocks"], row["files"], row["bytes"], row["events"]]
            added = totals.pop(row["name"], [0, 0, 0, 0])
            if told != added:
                self.say(f"{row['name']} says {told}, its closed blocks add up to {added}")
        for name in totals:
            self.say(f"{name} has closed blocks and no row")

    def look_at_messages(self):
        """Each output and closed block was announced once, each run began once."""
        told = collections.Counter((row["kind"], row["subject"], row["run"])
                                   for row in self.ledger["message"])
        for (kind, subject, run), count in told.items():
            # Other kinds may be true again: a run that was reopened is closed and finished again.
            if kind in ("output.published", "block.closed", "run.started") and count != 1:
                self.say(f"{kind} of {subject}, run {run}, was told {count} times")
        kinds = collections.Counter(row["kind"] for row in self.ledger["message"])
        closed = sum(self.ledger.word("block", row) == "closed" for row in self.ledger["block"])
        for kind, told_of, there in (
                ("output.published", kinds["output.published"], len(self.ledger["output"])),
                ("block.closed", kinds["block.closed"], closed)):
            if told_of != there:
                self.say(f"{kind} was told {told_of} times of {there}")


def judge(state):
    """The line about one folder, and whether it agrees."""
    try:
        looked = Judge(Ledger(state))
        figures = looked.look()
    except (CannotLook, OSError, KeyError, ValueError, sqlite3.Error) as error:
        reason = f"{type(error).__name__}: {error}"
        return {"judge": "ledger", "folder": str(state), "agrees": None, "error": reason}
    found = looked.disagreements
    return {"judge": "ledger", "folder": str(state), "agrees": not found, **figures,
            "disagreements": found[:DISAGREEMENTS_SHOWN], "n_disagreements": len(found)}


# --- Ways to break a ledger; each is done to a copy -----------------------------------------------

def an_output(state):
    return next(path for path in sorted((state / "storage").rglob("*.*")) if path.is_file())


def lose_an_output(state):
    an_output(state).unlink()


def turn_a_bit(state):
    content = bytearray(an_output(state).read_bytes())
    content[len(content) // 2] ^= 1
    an_output(state).write_bytes(content)


def leave_garbage(state):
    (state / "storage" / "left-over.parquet").write_bytes(b"of an attempt that lost")


def ask(question):
    """A way to break it by a statement."""
    def breakage(state):
        with contextlib.closing(sqlite3.connect(state / "tier0.db")) as ledger:
            changed = ledger.execute(question).rowcount
            ledger.commit()
            if changed < 1:
                raise CannotLook(f"nothing to break by {question}")
    breakage.__name__ = question
    return breakage


BREAKAGES = [
    lose_an_output, turn_a_bit, leave_garbage,
    ask("DELETE FROM output WHERE id = (SELECT min(id) FROM output)"),
    ask("UPDATE output SET block = (SELECT max(id) FROM block)"
        " WHERE id = (SELECT min(id) FROM output)"),
    ask("UPDATE job SET attempt = attempt + 1 WHERE id = (SELECT min(job) FROM output)"),
    ask("UPDATE job SET state = 1 WHERE id = (SELECT max(id) FROM job)"),
    ask("UPDATE consumed SET job = (SELECT max(id) + 1 FROM job) WHERE input ="
        " (SELECT min(input) FROM consumed)"),
    ask("UPDATE consumed SET first_event = 7 WHERE input = (SELECT min(input) FROM consumed)"),
    ask("DELETE FROM message WHERE kind = 'output.published' AND id ="
        " (SELECT min(id) FROM message WHERE kind = 'output.published')"),
    ask("UPDATE message SET subject = (SELECT min(subject) FROM message WHERE kind ="
        " 'output.published') WHERE kind = 'output.published'"),
    ask("UPDATE agent SET next_id = 2"),
    ask("UPDATE dataset SET events = events + 1"),
    ask("DELETE FROM file WHERE id = (SELECT min(id) FROM file)"),
]


def self_check(state):
    """Whether the judge agrees with the folder as it is and notices every way to break it."""
    wrong = 0
    for breakage in (None, *BREAKAGES):
        with tempfile.TemporaryDirectory() as name:
            copy = pathlib.Path(name) / "state"
            shutil.copytree(state, copy, ignore=shutil.ignore_patterns("*.sock", "*.addr"))
            if breakage:
                breakage(copy)
            verdict = judge(copy)
        expected = breakage is None
        ok = verdict["agrees"] is expected
        wrong += not ok
        what = breakage.__name__ if breakage else "as it is"
        said = (verdict.get("disagreements") or [verdict.get("error", "agrees")])[0]
        print(f"{'ok' if ok else 'WRONG'} ledger: {what}: {said}")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--self-check", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_check:
        sys.exit(self_check(arguments.folders[0]))
    verdicts = [judge(folder) for folder in arguments.folders]
    for verdict in verdicts:
        print(json.dumps(verdict))
    agrees = [verdict["agrees"] for verdict in verdicts]
    sys.exit(2 if None in agrees else 0 if all(agrees) else 1)


if __name__ == "__main__":
    main()
