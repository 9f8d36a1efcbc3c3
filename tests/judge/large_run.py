"""Judge of a large run: it closes exactly when complete, and nothing of it is lost or doubled.

    large_run.py --tier0 PROGRAM [--lumis 1000] [--streams 10] [--files 8] [--seed N] [--kills 0]
                 [--folder DIR] [--keep] [--json] [--break WHAT]
    large_run.py --tier0 PROGRAM --self-check

Plays a data acquisition of CMS's kind into the spool of a real instance and keeps its own book of
what it wrote: so many files in each lumi of each stream, lumis out of order, ends of lumis anywhere
among them, some files with nothing in them, some sent twice. One file in a hundred is late: it
comes when the end of the run and everything else have been seen. One in a thousand is corrupt as a
data acquisition corrupts: half a sidecar, a sidecar with an impossible count, data shorter than
their sidecar says. Half of the corrupt ones are sent again rightly, an operator declares the others
lost, in an order drawn by lot; the last of these acts must close the run, and nothing before it
may. A lost file that comes after all changes nothing of the closed run. With --kills the instance
is killed and started again so many times while files are coming.

After each stage it asks, through the command line, HTTP and the ledger of SQLite, what the run
waits for, and compares with the book: each lumi by name, its files and its events. At the end it
compares every file, who consumed it, and every byte published. Each job's program (this file, as
a worker) reads its files and publishes their events as they are. It shares no code with the
project and needs nothing but Python. Prints its seed and one line of figures (with --json one
document); exits 0 when it agrees, 1 when it does not, 2 when it could not look.

--break does one thing that the book does not know of, so that the judge must disagree;
--self-check does each of them on a small run and sees to it that it does.
"""

import argparse
import calendar
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib

RUN = 402144
EVENT_BYTES = 8
LATE_SHARE, CORRUPT_SHARE, EMPTY_SHARE, TWICE_SHARE = 0.01, 0.001, 0.01, 0.01
# Each stream has a pipeline of its own, and the splitters take turns. Express works on each lumi as
# soon as it is complete; the others go on only where nothing can come in front any more.
SPLITTERS = ('by = "express", max_events = 1000000, max_input_rate = 1000000',
             'by = "lumi", lumis_per_job = 5, apply_lumi_correction = true',
             'by = "express", max_events = 1000000, max_input_rate = 1000000',
             'by = "event_aware_file", max_events = 800',
             'by = "file", files_per_job = 40')
# How a corrupt file is corrupt, the code it must be set aside with, and words of the reason.
CORRUPTIONS = {"torn": ("record-unreadable", "EOF while parsing"),
               "impossible": ("record-unreadable", "a count cannot be negative"),
               "short": ("size-differs", "the sidecar says")}
# The first so many lumis of a stream are named one by one where a run says what it waits for.
NAMED_MAX = 10
# What --break can do, and words that the judge must then say.
BREAKS = {"drop": "nothing more was accepted",
          "early": "is closed although",
          "miscount": "differs from the book",
          "stray": "set aside are not",
          "output": "published otherwise",
          "ledger": "consumed"}
LOOK_S = 0.05
# Closing is one step of the engine; all else is a machine that is busy with other things.
CLOSES_WITHIN_S = 10


class CannotLook(Exception):
    """The arguments or the machine do not let the judge look at all."""


class Disagreement(Exception):
    """Something so wrong that going on would tell nothing more."""


# --- The program of the jobs -------------------------------------------------------------------


def work(job, breaks):
    """One job: its files are read, checked, and published as they are, one behind the other."""
    folder, pieces, events = pathlib.Path(job["cwd"]), [], 0
    for given in job["inputs"]:
        content = pathlib.Path(given["path"]).read_bytes()
        header, _, payload = content.partition(b"\n")
        counted = len(payload) // EVENT_BYTES
        told = (given["bytes"], given["adler32"], given["events"], int(header.split()[-1]))
        if told != (len(content), f"{zlib.adler32(content):08x}", counted, counted):
            raise ValueError(f"{given['lfn']}: told {told}, found {len(content)} bytes, {counted}")
        pieces.append(content)
        events += counted
    content = b"".join(pieces)
    if breaks:
        content = content[:-1] + bytes([content[-1] ^ 1])
    output = job["outputs"][0]
    (folder / output["path"]).write_bytes(content)
    return {"events_read": events, "events_written": events, "outputs": [
        {"label": output["label"], "path": output["path"], "bytes": len(content),
         "adler32": f"{zlib.adler32(content):08x}", "events": events, "lumis": job["lumis"]}]}


def worker(breaks):
    """Takes one job a line, as the executor's warm workers do."""
    def say(message):
        print(json.dumps(message), flush=True)

    say({"hello": {"program": "copy", "protocol": 1, "conditions": "any"}})
    for line in sys.stdin:
        message = json.loads(line)
        if "quit" in message:
            return
        if "job" in message:
            job = message["job"]
            report = {"schema": 1, "job": job["job"], "attempt": job["attempt"]}
            try:
                report |= work(job, breaks) | {"exit": {"code": 0, "class": "ok", "message": ""}}
            except (OSError, ValueError) as error:
                report |= {"exit": {"code": 65, "class": "input", "message": str(error)}}
            say({"report": report})


# --- The data acquisition ----------------------------------------------------------------------


class DataFile:
    """One file as the book has it; `corruption` is how it is delivered first, if not rightly."""

    __slots__ = ("lumi", "stream", "part", "processed", "errors", "events", "offset", "size",
                 "checksum", "corruption")

    @property
    def stem(self):
        return f"run{RUN:06}/run{RUN:06}_ls{self.lumi:04}_stream{self.stream}_node{self.part}"

    @property
    def name(self):
        """As the ledger knows it: a file without events is only a sidecar."""
        return self.stem + (".dat" if self.events else ".jsn")

    @property
    def accounted(self):
        """Events that count towards what was announced for the lumi."""
        return self.processed + self.errors


class Book:
    """What the data acquisition writes, in which order, and what of it is late or corrupt."""

    def __init__(self, lumis, streams, files, seed):
        self.chance = random.Random(seed)
        self.lumis, self.streams = lumis, [f"Physics{n:02}" for n in range(streams)]
        self.events_pool = self.chance.randbytes(1 << 20)
        self.announced = collections.Counter()
        self.files = []
        for lumi in range(1, lumis + 1):
            for part in range(files):
                read_out = self.chance.randint(20, 60)
                self.announced[lumi] += read_out
                self.files += [self._file(lumi, stream, part, read_out) for stream in self.streams]
        full = [file for file in self.files if file.events]
        # A small run needs some of each kind as well.
        n_late = max(2, round(LATE_SHARE * len(self.files)))
        n_corrupt = max(4, round(CORRUPT_SHARE * len(self.files)))
        if n_late + n_corrupt > len(full) // 2:
            raise CannotLook("so few files cannot be late, corrupt and in order at once")
        chosen = self.chance.sample(full, n_late + n_corrupt)
        self.late, self.corrupt = chosen[:n_late], chosen[n_late:]
        for index, file in enumerate(self.corrupt):
            file.corruption = list(CORRUPTIONS)[index % len(CORRUPTIONS)]
        held = set(self.late + self.corrupt)
        self.on_time = [file for file in self.files if file not in held]
        n_twice = max(1, round(TWICE_SHARE * len(self.files)))
        self.twice = self.chance.sample(self.on_time, n_twice)
        self.of_lumi = collections.defaultdict(list)
        for file in self.files:
            self.of_lumi[file.stream, file.lumi].append(file)

    def _file(self, lumi, stream, part, read_out):
        file = DataFile()
        file.lumi, file.stream, file.part, file.corruption = lumi, stream, part, None
        file.errors = self.chance.choice((0, 0, 0, 0, 0, 0, 0, 1))
        file.processed = read_out - file.errors
        nothing = self.chance.random() < EMPTY_SHARE
        file.events = 0 if nothing else self.chance.randint(1, file.processed)
        file.offset = self.chance.randrange(len(self.events_pool) - 100 * EVENT_BYTES)
        content = self.content(file)
        file.size, file.checksum = len(content), zlib.adler32(content)
        return file

    def content(self, file):
        """A line that says what follows, and the events."""
        header = f"FILE {file.stream} {file.lumi} {file.part} {file.events}\n".encode()
        return header + self.events_pool[file.offset:file.offset + file.events * EVENT_BYTES]

    def order(self):
        """Files that are not late and ends of lumis as they are written: lumis out of order, and
        what belongs to one among what belongs to its neighbours."""
        numbers = list(range(1, self.lumis + 1))
        self.chance.shuffle(numbers)
        position = {lumi: at for at, lumi in enumerate(numbers)}
        things = [(position[thing.lumi] + 3 * self.chance.random(), at, thing)
                  for at, thing in enumerate(self.on_time + self.corrupt)]
        things += [(position[lumi] + 3 * self.chance.random(), -lumi, lumi) for lumi in numbers]
        return [thing for _, _, thing in sorted(things, key=lambda one: one[:2])]

    def open_lumis(self, missing):
        """What each (stream, lumi) has that lacks a missing file: files and events here."""
        lacking, missing = {(file.stream, file.lumi) for file in missing}, set(missing)
        here = {}
        for key in lacking:
            files = [file for file in self.of_lumi[key] if file not in missing]
            here[key] = (len(files), sum(file.accounted for file in files))
        return here


class Detector:
    """Writes into the spool as a data acquisition does: data, then a sidecar renamed into place."""

    def __init__(self, book, spool):
        self.book, self.spool, self.written = book, str(spool), 0
        os.makedirs(f"{self.spool}/run{RUN:06}", exist_ok=True)

    def write(self, name, content):
        with open(f"{self.spool}/{name}", "wb", buffering=0) as file:
            file.write(content)

    def _rename(self, name, content):
        self.write(name + ".tmp", content)
        os.rename(f"{self.spool}/{name}.tmp", f"{self.spool}/{name}")

    def record(self, name, *values):
        data = {"data": [str(value) for value in values], "definition": "none", "source": "judge"}
        self._rename(f"run{RUN:06}/run{RUN:06}_{name}.jsn", json.dumps(data).encode())

    def _sidecar(self, file, processed):
        named = os.path.basename(file.name) if file.events else ""
        sizes = (file.size, "", file.checksum) if file.events else (0, "", -1)
        values = [processed, file.events, file.errors, 0, named, *sizes, "", "DAT", 0]
        data = {"data": [str(value) for value in values], "definition": "none", "source": "judge"}
        return json.dumps(data).encode()

    def deliver(self, file, corruption=None):
        """A file and its sidecar, corrupt in one of the ways or right."""
        content = self.book.content(file)
        sidecar = self._sidecar(file, -5 if corruption == "impossible" else file.processed)
        if corruption == "short":
            content = content[:-EVENT_BYTES]
        if corruption == "torn":
            sidecar = sidecar[:len(sidecar) // 2]
        self.written += 1
        # Some data acquisitions move the data last; then the sidecar must wait for them.
        sidecar_first = self.written % 16 == 0
        if file.events and not sidecar_first:
            self.write(file.name, content)
        self._rename(file.stem + ".jsn", sidecar)
        if file.events and sidecar_first:
            self._rename(file.name, content)

    def repeat(self, file):
        """The same once more, as a copy that was interrupted and begun again."""
        if file.events:
            self._rename(file.name, self.book.content(file))
        self._rename(file.stem + ".jsn", self._sidecar(file, file.processed))

    def send_again(self, file):
        """Only what was wrong: the data, or the sidecar."""
        if file.corruption == "short":
            self._rename(file.name, self.book.content(file))
        else:
            self._rename(file.stem + ".jsn", self._sidecar(file, file.processed))

    def end_of_lumi(self, lumi):
        events = self.book.announced[lumi]
        files = len(self.book.of_lumi[self.book.streams[0], lumi])
        self.record(f"ls{lumi:04}_EoLS", events, files, events, 0)

    def end_of_run(self):
        self.record("ls0000_EoR", sum(self.book.announced.values()), len(self.book.files),
                    self.book.lumis, self.book.lumis)


# --- The instance ------------------------------------------------------------------------------


class Instance:
    """A real instance on a folder of its own, asked as strangers ask."""

    def __init__(self, program, folder, streams, break_output):
        self.folder, self.process, self.http = folder, None, None
        self.command = [str(program), "--config", str(folder / "tier0.toml")]
        (folder / "spool").mkdir()
        (folder / "pipelines").mkdir()
        words = [sys.executable, str(pathlib.Path(__file__).resolve()), "worker"]
        words += ["break"] if break_output else []
        (folder / "tier0.toml").write_text(
            '[instance]\nname = "large-run"\n\n[pipelines]\nfolder = "pipelines"\n\n'
            '[[stream]]\nname = "daq"\nfolder = "spool"\nprofile = "cms"\nlabel = "simulated"\n')
        for at, stream in enumerate(streams):
            (folder / "pipelines" / f"{stream.lower()}.toml").write_text(
                f'[pipeline]\nname = "{stream.lower()}"\ntrigger = {{ stream = "{stream}" }}\n\n'
                f'[[task]]\nname = "copy"\nsplit = {{ {SPLITTERS[at % len(SPLITTERS)]} }}\n'
                f'program = {json.dumps(words)}\nmode = "warm"\noutputs = {{ COPY = "dat" }}\n'
                'needs = { cores = 1, memory = "1GiB", wall = "5m" }\n')

    def launch(self):
        """Starts it, without waiting for it."""
        (self.folder / "state" / "api.addr").unlink(missing_ok=True)
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("TIER0_")}
        with open(self.folder / "serve.log", "ab") as file:
            self.process = subprocess.Popen([*self.command, "serve"], env=environment,
                                            stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def start(self):
        """Starts it and gives the seconds until it was ready."""
        began = time.monotonic()
        self.launch()
        self.wait_until_ready()
        return time.monotonic() - began

    def wait_until_ready(self):
        address, began = self.folder / "state" / "api.addr", time.monotonic()
        while not (address.exists() and self._ready(address.read_text().strip())):
            if self.process.poll() is not None or time.monotonic() - began > 120:
                self.kill()
                log = (self.folder / "serve.log").read_text()
                raise CannotLook(f"the instance did not start: {log[-2000:]}")
            time.sleep(LOOK_S)

    def _ready(self, address):
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.http = http.client.HTTPConnection(address, timeout=60)
            self.http.request("GET", "/readyz")
            answer = self.http.getresponse()
            answer.read()
            return answer.status == 200
        return False

    def get(self, path):
        self.http.request("GET", f"/api/v1/{path}")
        answer = self.http.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Disagreement(f"GET {path}: {answer.status}: {text[:300]!r}")
        return json.loads(text)

    def tell(self, *words, codes=(0,)):
        """A command line with --json; `why` and lists of troubles exit with 1 if there are any."""
        done = subprocess.run([*self.command, *words, "--json"], capture_output=True, text=True,
                              check=False)
        if done.returncode not in codes:
            raise Disagreement(f"tier0 {' '.join(words)}: {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def run(self):
        """The run as lists show it, or nothing yet."""
        return next((run for run in self.get("runs")["items"] if run["run"] == RUN), None)

    def rows(self, question, *values):
        """Rows of the ledger, read as anybody can read it."""
        path = self.folder / "state" / "tier0.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True,
                                                timeout=60)) as ledger:
            return ledger.execute(question, values).fetchall()

    def used(self):
        """The most memory that the server's own process has had, in MiB, and its processor time."""
        process = pathlib.Path(f"/proc/{self.process.pid}")
        peak = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text(encoding="ascii"))
        fields = (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return int(peak.group(1)) / 1024, ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        code = self.process.wait(60)
        if code:
            raise Disagreement(f"the instance ended with {code}: see serve.log")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


# --- The judge ---------------------------------------------------------------------------------


class Judge:
    """Plays the book's stages and compares what the instance says with it."""

    def __init__(self, arguments, book, instance):
        self.book, self.instance, self.breaks = book, instance, arguments.breaks
        self.detector = Detector(book, instance.folder / "spool")
        self.patience_s, self.found = arguments.patience, []
        self.figures = {"kills": arguments.kills, "peak_mib": 0.0, "processor_s": 0.0,
                        "steps_s": {}}

    def compare(self, what, got, expected):
        """Notes a difference, the first few members of one where sets differ."""
        if got == expected:
            return
        if isinstance(got, (set, dict)):
            one, other = set(got), set(expected)
            if isinstance(got, dict):
                one, other = set(got.items()), set(expected.items())
            got = f"more: {sorted(one - other)[:3]} ({len(one - other)})"
            expected = f"less: {sorted(other - one)[:3]} ({len(other - one)})"
        self.found.append(f"{what}: {got}, expected {expected}")

    def until(self, what, look, wanted):
        """Looks until it sees what is wanted; gives up when nothing has changed for too long."""
        seen, since = None, time.monotonic()
        while True:
            before, seen = seen, look()
            if seen == wanted:
                return
            if seen != before:
                since = time.monotonic()
            elif time.monotonic() - since > self.patience_s:
                raise Disagreement(f"{what}: {seen} of {wanted}, and nothing more came for "
                                   f"{self.patience_s} s")
            time.sleep(LOOK_S)

    # Stages.

    def play(self):
        """All but what is late, and the end of the run; then everything that is right is here."""
        detector, began = self.detector, time.time()
        detector.record("ls0000_BoR", "physics", "simulated")
        dropped = self.book.on_time[len(self.book.on_time) // 2] if self.breaks == "drop" else None
        order, kills = self.book.order(), self.figures["kills"]
        killed_at = {len(order) * (at + 1) // (kills + 1) for at in range(kills)}
        for at, thing in enumerate(order):
            if at in killed_at:
                # A data acquisition does not wait for anybody.
                self.note_use()
                self.instance.kill()
                self.instance.launch()
            if isinstance(thing, int):
                detector.end_of_lumi(thing)
            elif thing is not dropped:
                detector.deliver(thing, thing.corruption)
            if at % 2000 == 1999:
                self.instance.wait_until_ready()
                self.must_be_open(self.book.late + self.book.corrupt)
        detector.end_of_run()
        self.instance.wait_until_ready()
        if self.breaks == "stray":
            detector.write(f"run{RUN:06}/readme.txt", b"of no concern")
        if self.breaks == "miscount":
            self.book.on_time[0].events += 1
        self.figures["written_s"] = time.time() - began
        self.until_accepted(self.book.late + self.book.corrupt)
        self.figures["accepted_s"] = time.time() - began
        self.until_known_jobs_are_done()
        self.figures["worked_s"] = time.time() - began
        if self.breaks == "early":
            self.instance.tell("run", "close", str(RUN), "--reason", "in a hurry", "--by", "judge")

    def until_accepted(self, missing):
        """Everything but `missing` is in the ledger. A run that is then closed is closed early."""
        def accepted():
            run = self.instance.run()
            return run["counts"]["files"] if run else 0

        try:
            self.until("files accepted", accepted, len(self.book.files) - len(missing))
        except Disagreement as error:
            names = {row[0] for row in self.instance.rows("SELECT name FROM file")}
            names |= {file.name for file in missing}
            lost = {file.name for file in self.book.files} - names
            waits = self.instance.get(f"why/run/{RUN}")["waits"]
            told = [f"{wait['object']}: {wait['reason']}" for wait in waits[:3]]
            text = (f"nothing more was accepted ({error}); not here: {sorted(lost)[:5]} "
                    f"({len(lost)}); the run waits: {told}")
            raise Disagreement(text) from error

    def until_known_jobs_are_done(self):
        """Express has worked on every complete lumi, whatever else is missing."""
        lacking = self.book.open_lumis(self.book.late + self.book.corrupt)
        express = [stream for at, stream in enumerate(self.book.streams)
                   if "express" in SPLITTERS[at % len(SPLITTERS)]]
        expected = sum(1 for (stream, lumi), files in self.book.of_lumi.items()
                       if stream in express and (stream, lumi) not in lacking
                       and any(file.events for file in files))
        question = ("SELECT COUNT(*) FROM job_named WHERE state_word = 'done' AND pipeline IN "
                    f"({', '.join('?' * len(express))})")
        names = [stream.lower() for stream in express]

        def done():
            return self.instance.rows(question, *names)[0][0]

        self.until("express jobs done", done, expected)

    def must_be_open(self, missing):
        run = self.instance.run()
        if run and (run["state"] not in ("open", "ending") or run["closed_at"]):
            raise Disagreement(f"run {RUN} is closed although {len(missing)} files are missing, "
                               f"first {missing[0].name}: {run}")
        return run

    def compare_standing(self, stage, missing):
        """The run is open, and waits for exactly the lumis that lack a missing file."""
        run = self.must_be_open(missing)
        self.compare(f"{stage}: state of the run", run["state"], "ending")
        self.compare(f"{stage}: failed jobs", run["counts"]["jobs_failed"], 0)
        lacking = self.book.open_lumis(missing)
        expected = {f"lumi/{RUN}/{stream}/{lumi}":
                    f"{files} files with {events} events are here, "
                    f"{self.book.announced[lumi]} events were announced"
                    for (stream, lumi), (files, events) in lacking.items()}
        told = {}
        for name in expected:
            waits = self.instance.get(f"why/{name}")["waits"]
            told[name] = waits[0]["reason"] if len(waits) == 1 else str(waits)
            if waits and waits[0]["kind"] != "lumi-files":
                self.found.append(f"{stage}: {name} waits for {waits[0]['kind']}")
        self.compare(f"{stage}: what open lumis wait for", told, expected)
        complete = [key for key in self.book.of_lumi if key not in lacking]
        for stream, lumi in random.Random(stage).sample(complete, min(200, len(complete))):
            why = self.instance.get(f"why/lumi/{RUN}/{stream}/{lumi}")
            self.compare(f"{stage}: why {stream} {lumi}, which is complete", why["waits"], [])
        # The short form of the same that people see first.
        named = {}
        for stream in self.book.streams:
            lumis = sorted(lumi for name, lumi in lacking if name == stream)
            for lumi in lumis[:NAMED_MAX]:
                named[f"lumi/{RUN}/{stream}/{lumi}"] = expected[f"lumi/{RUN}/{stream}/{lumi}"]
            if len(lumis) > NAMED_MAX:
                last = f"lumi/{RUN}/{stream}/{lumis[NAMED_MAX - 1]}"
                named[last] += f" (and {len(lumis) - NAMED_MAX} more lumis after it)"
        for words in (("why", f"run/{RUN}"), ("run", "show", str(RUN))):
            waits = self.instance.tell(*words, codes=(0, 1))["waits"]
            told = {wait["object"]: wait["reason"] for wait in waits
                    if wait["kind"] == "lumi-files"}
            self.compare(f"{stage}: tier0 {' '.join(words)}", told, named)

    def alarms(self):
        """Keys of alarms that stand: of things set aside, and others."""
        items = self.instance.tell("alarm", "ls", codes=(0, 1))["items"]
        keys = {item["key"] for item in items}
        aside = {key for key in keys if key.startswith("set-aside/")}
        return aside, keys - aside

    def compare_set_aside(self):
        """What was set aside is exactly what is corrupt, with the right reasons, and told."""
        def listed():
            return self.instance.tell("file", "set-aside", codes=(0, 1))["items"]

        expected = {}
        for file in self.book.corrupt:
            name = file.name if file.corruption == "short" else file.stem + ".jsn"
            expected[name] = CORRUPTIONS[file.corruption][0]
        self.until("files set aside", lambda: len(listed()) >= len(expected), True)
        items = {item["name"]: item for item in listed()}
        self.compare("files set aside are not the corrupt ones",
                     {name: item["refusal"] for name, item in items.items()}, expected)
        for file in self.book.corrupt:
            item = items.get(file.name) or items.get(file.stem + ".jsn") or {"detail": ""}
            words = CORRUPTIONS[file.corruption][1]
            if words not in item["detail"] or os.path.basename(file.stem) not in item["detail"]:
                self.found.append(f"set aside without its name or {words!r}: {item}")
        told, _ = self.alarms()
        self.compare("alarms of what was set aside", told,
                     {f"set-aside/daq/{refusal}" for refusal in expected.values()})

    def settle(self):
        """The corrupt files are sent again or declared lost; the last act closes the run."""
        acts = [(file, at % 2 == 0) for at, file in enumerate(self.book.corrupt)]
        self.book.chance.shuffle(acts)
        for at, (file, again) in enumerate(acts[:-1]):
            self.act(file, again, rehearse=at < 3)
        left = [acts[-1][0]]
        lost = [file for file, again in acts[:-1] if not again]
        self.until_accepted(left + lost)
        self.compare_standing("before the last act", left)
        before = time.time()
        self.act(*acts[-1])
        self.until("run closed", lambda: self.instance.run()["closed_at"] is not None, True)
        closed_at = moment(self.instance.run()["closed_at"])
        if closed_at < before - 0.001:
            self.found.append(f"the run was closed {before - closed_at} s before the last act")
        self.figures["closed_s"] = closed_at - before
        if closed_at - before > CLOSES_WITHIN_S:
            self.found.append(f"the run was closed only {closed_at - before} s after the last act")
        self.until("run finished", lambda: self.instance.run()["state"], "finished")
        finished_at = moment(self.instance.run()["finished_at"])
        self.figures["finished_s"] = finished_at - before
        self.figures["last_act"] = "sent again" if acts[-1][1] else "declared lost"
        return {file for file, again in acts if not again}

    def act(self, file, again, rehearse=False):
        if again:
            self.detector.send_again(file)
            return
        words = ["file", "declare-lost", "--run", str(RUN), "--stream", file.stream, "--lumis",
                 str(file.lumi), "--file", file.name, "--events", str(file.accounted),
                 "--by", "judge", "--reason", "corrupt on disk"]
        if rehearse:
            preview = self.instance.tell(*words, "--dry-run")
            self.compare("files concerned by a declaration", preview["count"], 1)
            why = self.instance.get(f"why/lumi/{RUN}/{file.stream}/{file.lumi}")
            self.compare("waits after a preview of a declaration", len(why["waits"]), 1)
        self.instance.tell(*words, "--expect-count", "1")

    # The end.

    def compare_ledger(self, lost):
        """Every file of the book but the lost ones is in the ledger as it was written, and was
        consumed once by its stream's task; what has no events was not consumed."""
        instance = self.instance
        rows = instance.rows("SELECT id, name, stream, lumi, bytes, events, late FROM file")
        got = {name: (stream, lumi, size, events, late)
               for _, name, stream, lumi, size, events, late in rows}
        kept = [file for file in self.book.files if file not in lost]
        expected = {file.name: (file.stream, file.lumi, file.size if file.events else 0,
                                file.events, 0) for file in kept}
        self.compare("rows of files", len(rows), len(kept))
        self.compare("the ledger's files differs from the book", got, expected)
        sums = collections.Counter()
        for file in kept:
            sums[file.stream, file.lumi] += file.events
        question = "SELECT stream, lumi, SUM(events) FROM file GROUP BY stream, lumi"
        got = {(stream, lumi): events for stream, lumi, events in instance.rows(question)}
        self.compare("events of lumis differs from the book", got, dict(sums))
        wanted = {(stream.lower(), "copy", id_): 1
                  for id_, name, stream, _, _, events, _ in rows if events}
        question = ("SELECT consumed.pipeline, consumed.task, input, COUNT(*) FROM consumed "
                    "JOIN job_named ON job_named.id = consumed.job AND state_word = 'done' "
                    "WHERE input_kind = 1 GROUP BY consumed.pipeline, consumed.task, input")
        got = {tuple(row[:3]): row[3] for row in instance.rows(question)}
        self.compare("files consumed once each by a job that is done", got, wanted)
        self.compare("rows of what is consumed", instance.rows("SELECT COUNT(*) FROM consumed"),
                     [(len(wanted),)])
        states = dict(instance.rows("SELECT state_word, COUNT(*) FROM job_named GROUP BY 1"))
        self.compare("states of jobs", set(states), {"done"})
        # Those that a kill has ended were tried again; nothing else may have failed.
        failed = {row[0] for row in instance.rows("SELECT exit_class FROM failed_attempt")}
        failed -= {"lost"} if self.figures["kills"] else set()
        self.compare("classes of failed attempts", failed, set())
        closed = instance.rows("SELECT COUNT(*) FROM message WHERE kind = 'run.closed'")
        self.compare("messages that the run is closed", closed, [(1,)])
        self.figures["jobs"] = sum(states.values())

    def compare_outputs(self, lost):
        """Each job has published what it consumed, byte by byte, and the datasets add up."""
        names = dict(self.instance.rows("SELECT id, name FROM file"))
        consumed = collections.defaultdict(set)
        for id_, job in self.instance.rows("SELECT input, job FROM consumed WHERE input_kind = 1"):
            consumed[job].add(names.get(id_, f"file {id_}"))
        book = {file.name: file for file in self.book.files}
        storage, sums = self.instance.folder / "state" / "storage", collections.Counter()
        rows = self.instance.rows("SELECT job, name, bytes, events, block, pipeline FROM output")
        for job, name, size, events, block, pipeline in rows:
            content = (storage / name).read_bytes()
            wanted = sorted(consumed[job], key=lambda one: (book[one].lumi, one) if one in book
                            else (0, one))
            expected = b"".join(self.book.content(book[one]) for one in wanted if one in book)
            sums[pipeline] += events
            if content != expected or size != len(content) or block is None:
                self.found.append(f"published otherwise than consumed: {name} of job {job} has "
                                  f"{len(content)} bytes, {size} in the ledger, block {block}, "
                                  f"{len(expected)} bytes of {len(wanted)} files expected")
        self.compare("jobs with an output", {row[0] for row in rows}, set(consumed))
        self.figures["outputs"] = len(rows)
        written, present = collections.Counter(), collections.defaultdict(set)
        for file in self.book.files:
            if file in lost:
                continue
            written[file.stream.lower()] += file.events
            present[file.stream.lower()] |= {file.lumi} if file.events else set()
        self.compare("events published, by pipeline, differs from the book", dict(sums),
                     dict(written))
        datasets = {row["pipeline"]: row for row in self.instance.tell("dataset", "ls")["items"]}
        self.compare("pipelines with datasets", set(datasets), set(written))
        for pipeline, row in datasets.items():
            name = row["dataset"]
            self.compare(f"{name}: events, open blocks, lumis twice",
                         (row["events"], row["blocks_open"], row["duplicate_lumis"]),
                         (written[pipeline], 0, 0))
            held, = self.instance.tell("dataset", "lumis", name)["items"]
            lumis = {lumi for first, last in held["lumis"] for lumi in range(first, last + 1)}
            self.compare(f"{name}: lumis", lumis, present[pipeline])
            self.compare(f"{name}: missing, repeated", (held["missing"], held["repeated_inputs"]),
                         ([], 0))

    def compare_deeds(self, lost):
        """Each declaration is in the audit; no alarm stands but of what was set aside."""
        acts = self.instance.tell("audit", "ls", "--limit", "100000")["items"]
        acts = [act for act in acts if act["by"] == "judge"]
        self.compare("declarations in the audit", len(acts), len(lost))
        self.compare("alarms that stand", self.alarms()[1], set())
        why = self.instance.tell("why", f"run/{RUN}", codes=(0, 1))
        self.compare("waits of a finished run", why["waits"], [])

    def find_a_lost_file(self, file):
        """A file that was declared lost comes after all: kept and told, and the run as it was."""
        before = self.instance.run()
        self.detector.send_again(file)
        self.until("files accepted after the end", lambda: self.instance.run()["counts"]["files"],
                   before["counts"]["files"] + 1)
        after = self.instance.run()
        for key in ("state", "closed_at", "finished_at"):
            self.compare(f"{key} after a lost file was found", after[key], before[key])
        self.compare("jobs after a lost file was found", after["counts"]["jobs"],
                     before["counts"]["jobs"])
        late = self.instance.tell("file", "ls", "--state", "late")["items"]
        self.compare("late files", [one["name"] for one in late], [file.name])
        self.compare("alarms that stand for it", self.alarms()[1], {f"late-file/{RUN}/{file.name}"})

    def note_use(self):
        """What the server has used until now; of several that were killed, together."""
        peak_mib, processor_s = self.instance.used()
        self.figures["peak_mib"] = max(self.figures["peak_mib"], peak_mib)
        self.figures["processor_s"] += processor_s

    def compare_after_restart(self):
        """What was finished is finished, and a restart makes nothing of it again."""
        before = self.instance.run()
        self.instance.stop()
        self.figures["restart_s"] = self.instance.start()
        self.compare("the run after a restart", self.instance.run(), before)
        self.figures["restarted_mib"], _ = self.instance.used()

    def find_late_files(self):
        """What is late comes, and some of what is here once more."""
        self.book.chance.shuffle(self.book.late)
        for file in self.book.twice:
            self.detector.repeat(file)
        for file in self.book.late:
            self.detector.deliver(file)
        self.until_accepted(self.book.corrupt)

    def break_ledger(self):
        """Takes away a row behind everybody's back, if that is what is to be noticed."""
        if self.breaks == "ledger":
            path = self.instance.folder / "state" / "tier0.db"
            with contextlib.closing(sqlite3.connect(path, timeout=60)) as ledger, ledger:
                ledger.execute("DELETE FROM consumed "
                               "WHERE input = (SELECT MIN(input) FROM consumed)")

    def judge(self):
        """All stages; what was found is in `found`, and how long each took in the figures."""
        book = self.book
        self.step("play", self.play)
        self.step("set aside", self.compare_set_aside)
        self.step("first standing", self.compare_standing, "before the late files",
                  book.late + book.corrupt)
        self.step("late files", self.find_late_files)
        self.step("second standing", self.compare_standing, "before the corrupt files",
                  book.corrupt)
        lost = self.step("settle", self.settle)
        self.note_use()
        self.break_ledger()
        self.step("ledger", self.compare_ledger, lost)
        self.step("outputs", self.compare_outputs, lost)
        self.step("deeds", self.compare_deeds, lost)
        self.compare_set_aside()
        self.step("a lost file", self.find_a_lost_file, min(lost, key=lambda file: file.name))
        self.step("restart", self.compare_after_restart)

    def step(self, name, stage, *about):
        began = time.monotonic()
        result = stage(*about)
        self.figures["steps_s"][name] = round(time.monotonic() - began, 3)
        return result


def moment(text):
    """Seconds since 1970 of a time as the interface writes it, to the microsecond."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds + float(f"0.{fraction or 0}")


def look(arguments, folder):
    """The verdict on one run."""
    book = Book(arguments.lumis, arguments.streams, arguments.files, arguments.seed)
    instance = Instance(arguments.tier0, folder, book.streams, arguments.breaks == "output")
    instance.start()
    judge = Judge(arguments, book, instance)
    try:
        judge.judge()
    except (Disagreement, CannotLook) as error:
        # One that has started once must start again.
        judge.found.append(str(error))
    except (OSError, http.client.HTTPException) as error:
        code = instance.process.poll()
        log = (folder / "serve.log").read_text()[-2000:]
        judge.found.append(f"{type(error).__name__}: {error}; the instance "
                           f"{'runs' if code is None else f'ended with {code}'}: {log}")
    finally:
        instance.kill()
    figures = {name: round(value, 3) if isinstance(value, float) else value
               for name, value in judge.figures.items()}
    return {"judge": "large_run", "agrees": not judge.found, "seed": arguments.seed,
            "lumis": book.lumis, "streams": len(book.streams), "files": len(book.files),
            "late": len(book.late), "corrupt": len(book.corrupt), **figures,
            "disagreements": judge.found[:10], "n_disagreements": len(judge.found)}


def in_a_line(verdict):
    """The figures for people."""
    if "restarted_mib" not in verdict:
        return "no figures: it was not looked at to the end"
    return ("{files} files, {lumis} lumis, {streams} streams, {late} late, {corrupt} corrupt, "
            "{kills} kills: {jobs} jobs, {outputs} outputs; written in {written_s} s, all accepted "
            "{accepted_s} s after the first; last ({last_act}) to closed {closed_s} s, to finished "
            "{finished_s} s; server's peak {peak_mib:.0f} MiB, {processor_s} s of processor; "
            "restarted in {restart_s} s with {restarted_mib:.0f} MiB").format(**verdict)


def self_check(arguments):
    """The judge agrees with a small run, and disagrees in the right words with each broken one."""
    failed = []
    for breaks, words in {None: None, **BREAKS}.items():
        command = [sys.executable, __file__, "--tier0", str(arguments.tier0), "--lumis", "8",
                   "--streams", "5", "--files", "3", "--seed", str(arguments.seed), "--json",
                   "--patience", "20", *(["--break", breaks] if breaks else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            found = json.loads(done.stdout.splitlines()[-1])["disagreements"]
        except (IndexError, KeyError, ValueError):
            found = [done.stdout + done.stderr]
        right = done.returncode == (1 if breaks else 0)
        if breaks and not any(words in one for one in found):
            right = False
        print(f"{breaks or 'nothing broken'}: {'seen' if breaks else 'agreed'}" if right else
              f"{breaks or 'nothing broken'}: exit code {done.returncode}, said {found}")
        failed += [] if right else [breaks]
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier0", required=True, type=lambda text: pathlib.Path(text).resolve())
    for name, default in (("lumis", 1000), ("streams", 10), ("files", 8), ("kills", 0)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--folder", type=pathlib.Path,
                        help="to work in; one in memory spares a disk 160,000 files")
    parser.add_argument("--keep", action="store_true", help="the folder, for a look afterwards")
    parser.add_argument("--json", action="store_true", help="one document instead of a line")
    parser.add_argument("--patience", type=float, default=60, help="seconds without any progress")
    parser.add_argument("--break", dest="breaks", choices=BREAKS, help="what the judge must notice")
    parser.add_argument("--self-check", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_check:
        sys.exit(self_check(arguments))
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tier0-large-run.", dir=arguments.folder))
    print(f"seed {arguments.seed}" + (f", in {folder}" if arguments.keep else ""), file=sys.stderr)
    try:
        verdict = look(arguments, folder)
    except (CannotLook, OSError) as error:
        print(json.dumps({"judge": "large_run", "agrees": None, "error": str(error)}))
        sys.exit(2)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(verdict) if arguments.json else in_a_line(verdict))
    if not arguments.json:
        for one in verdict["disagreements"]:
            print(f"disagrees: {one}")
    sys.exit(0 if verdict["agrees"] else 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(breaks=sys.argv[2:3] == ["break"])
    else:
        main()
