"""Judge of the demo's report: every picture held against what was published.

    report.py --document DEMO.json --folder DEMO_FOLDER
    report.py --self-check --document DEMO.json --folder DEMO_FOLDER   changes a number of each kind of picture in a copy of
                                                                       the page; each must be noticed

Reads the page as a browser would, takes the numbers beside each picture, and compares them with the
files that the picture names: sums of histograms with the published UHI, the accepted peak with its
harvest and payload, beam spots with the document and the conditions, latencies and timelines with
the rows of the jobs, time slices with the account. Then it looks whether what is drawn stands where
the numbers say. Nothing of ours is used, and nothing but Python. Prints one JSON line; exits 1 on
any disagreement.
"""

import argparse
import contextlib
import copy
import html.parser
import json
import math
import pathlib
import re
import sqlite3
import sys
import xml.etree.ElementTree

UM_PER_CM = 1e4
SVG = "{http://www.w3.org/2000/svg}"
# A coordinate is written to a tenth.
PLACE_TOLERANCE = 0.11
SHOWN = 12


class Page(html.parser.HTMLParser):
    """Figures with their kind, drawing and numbers; scripts that could run; what is fetched."""

    def __init__(self, text):
        super().__init__(convert_charrefs=False)
        self.figures, self.running, self.fetched, self.headings = [], 0, [], []
        self.data = self.heading = None
        self.feed(text)
        drawings = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
        for figure, drawing in zip(self.figures, drawings, strict=True):
            figure["svg"] = drawing

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "figure":
            self.figures.append({"kind": attributes.get("data-picture"), "numbers": None})
        if tag == "script":
            if attributes.get("type") == "application/json":
                self.data = ""
            else:
                self.running += 1
        if tag == "h2":
            self.heading = ""
        self.fetched += [value for name, value in attributes.items()
                         if name in ("src", "href", "action", "data", "poster")]
        self.running += sum(name.startswith("on") for name in attributes)

    def handle_data(self, text):
        if self.data is not None:
            self.data += text
        if self.heading is not None:
            self.heading += text

    def handle_endtag(self, tag):
        if tag == "script" and self.data is not None:
            self.figures[-1]["numbers"] = json.loads(self.data)
            self.data = None
        if tag == "h2":
            self.headings.append(self.heading)
            self.heading = None


class Judge:
    def __init__(self, document, folder):
        self.document, self.folder = document, folder
        self.acts = {act["act"]: act for act in document["acts"]}
        self.found, self.looked = [], 0
        self.jobs = {}

    def say(self, figure, what):
        numbers = figure["numbers"] or {}
        self.found.append(f"act {numbers.get('act')} {figure['kind']}: {what}")

    def same(self, figure, what, shown, published, tolerance=1e-9):
        self.looked += 1
        if isinstance(published, list) and isinstance(shown, list) and len(published) == len(shown):
            for at, (a, b) in enumerate(zip(shown, published)):
                self.same(figure, f"{what}[{at}]", a, b, tolerance)
        elif isinstance(published, float) or isinstance(shown, float):
            close = shown is not None and published is not None and math.isclose(
                shown, published, rel_tol=tolerance, abs_tol=tolerance)
            if not close:
                self.say(figure, f"{what} is shown as {shown}, published as {published}")
        elif shown != published:
            self.say(figure, f"{what} is shown as {shown}, published as {published}")

    def read(self, path):
        return json.loads((self.folder / path).read_text())

    def act_folder(self, numbers):
        return f"act{numbers['act']}"

    def published(self, numbers, tier):
        """Published files of a tier, by path below the folder of the demo."""
        rows = self.read(f"{self.act_folder(numbers)}/published.json")
        return {str(pathlib.Path(row["path"]).relative_to(self.folder)): row
                for row in rows if row["tier"] == tier}

    def constants(self, numbers, tag):
        rows = self.read(f"{self.act_folder(numbers)}/conditions.json")
        return {row["since"]: row for row in rows if row["tag"] == tag}

    def rows_of_jobs(self, numbers):
        act = numbers["act"]
        if act not in self.jobs:
            path = self.folder / self.act_folder(numbers) / "state" / "tier0.db"
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
                bodies = [body for table in ("job", "job_history")
                          for body, in ledger.execute(f"SELECT body FROM {table}")]
            self.jobs[act] = {job["id"]: job for job in map(json.loads, bodies)}
        return self.jobs[act]

    def look(self, page):
        if page.running or page.fetched:
            self.found.append(f"the page runs {page.running} scripts and fetches {page.fetched}")
        for act in self.document["acts"]:
            if not any(h.startswith(act["label"]) and h.endswith(f"Act {act['act']}") for h in page.headings):
                self.found.append(f"act {act['act']} has no heading that begins with {act['label']}")
        for figure in page.figures:
            numbers = figure["numbers"]
            if numbers is None or numbers.get("picture") != figure["kind"]:
                self.say(figure, "has no numbers, or those of another picture")
                continue
            self.look_at_label(figure, numbers)
            getattr(self, f"look_at_{figure['kind']}")(figure, numbers)
        self.look_for_all(page)
        return self.found

    def look_at_label(self, figure, numbers):
        act = self.acts[numbers["act"]]
        self.same(figure, "label", numbers["label"], act["label"])
        word = "real" if act["label"].startswith("REAL") else "simulated"
        tree = xml.etree.ElementTree.fromstring(figure["svg"])
        title = tree.findtext(f"{SVG}title")
        if not title.startswith(act["label"]) or not tree.findtext(f"{SVG}desc"):
            self.say(figure, f"the picture does not say that it is {act['label']}, or what it shows: {title}")
        for source in numbers["sources"]:
            if not source.startswith(f"act{numbers['act']}/") or not (self.folder / source).is_file():
                self.say(figure, f"{source} is no file of its act")
            elif "/storage/" in source and source.endswith(".json"):
                label = self.read(source).get("label", word)
                self.same(figure, f"label of {source}", word, label)

    def look_for_all(self, page):
        """The pictures that an act must have, by what its document has."""
        kinds = [(figure["kind"], figure["numbers"]["act"]) for figure in page.figures if figure["numbers"]]
        telescope = {3}
        for number, act in self.acts.items():
            if act["status"] != "done":
                continue
            wanted = ["latency", "timeline"]
            wanted += ["rates", "slices"] if number in telescope else ["mass"]
            wanted += ["accepted_peak"] if act.get("z_peak") else []
            wanted += ["beam_spot", "residual"] if act.get("beamspot") else []
            self.found += [f"act {number} has no picture {kind}" for kind in wanted if (kind, number) not in kinds]
            if kinds.count(("beam_spot", number)) not in (0, 2):
                self.found.append(f"act {number} does not show both coordinates of the beam spot")
        done = {number for number, act in self.acts.items() if act["status"] == "done"} - telescope
        if 2 in done and done - {2} and [kind for kind, _ in kinds].count("beside") not in (2, 4):
            self.found.append("data do not stand beside Monte Carlo")

    # Histograms.

    def look_at_sum(self, figure, shown, sources):
        """Contents of a shown histogram against the sum over published files."""
        self.same(figure, "sources", sorted(shown["sources"]), sorted(sources))
        values, entries = None, 0
        for source in shown["sources"]:
            uhi = element(self.read(source), shown["name"])
            if uhi is None:
                continue
            axis = uhi["axes"][0]
            self.same(figure, "axis", [shown["low"], shown["high"], len(shown["contents"])],
                      [axis["lower"], axis["upper"], axis["bins"]])
            here = uhi["storage"]["values"]
            values = here if values is None else [a + b for a, b in zip(values, here)]
            entries += uhi["metadata"]["entries"]
        if values is None:
            self.say(figure, f"no source has {shown['name']}")
            return
        self.same(figure, "contents", [float(v) for v in shown["contents"]], [float(v) for v in values[1:-1]])
        self.same(figure, "flow", [shown["underflow"], shown["overflow"]], [float(values[0]), float(values[-1])])
        self.same(figure, "entries", shown["entries"], entries)

    def express_documents(self, numbers):
        return [path for path in self.published(numbers, "DQM") if self.read(path).get("program") == "express"]

    def look_at_mass(self, figure, numbers):
        shown = numbers["histograms"]
        self.look_at_sum(figure, shown["express"], self.express_documents(numbers))
        self.look_at_sum(figure, shown["prompt"], self.published(numbers, "DQM_RUN"))
        self.look_at_points(figure, shown["prompt"]["contents"])
        self.look_at_steps(figure, "ot", shown["express"]["contents"])

    def look_at_beside(self, figure, numbers):
        self.look_at_sum(figure, numbers["histograms"]["prompt"], self.published(numbers, "DQM_RUN"))
        self.look_at_points(figure, numbers["histograms"]["prompt"]["contents"])

    def look_at_residual(self, figure, numbers):
        before, after = numbers["histograms"]["before"], numbers["histograms"]["after"]
        self.look_at_sum(figure, after, self.published(numbers, "DQM_RUN"))
        self.same(figure, "sources before", sorted(before["sources"]), sorted(self.published(numbers, "AOD")))
        total = sum(before["contents"]) + before["underflow"] + before["overflow"]
        self.same(figure, "tracks before", total, float(after["entries"]))
        act = self.acts[numbers["act"]]
        for name, shown in (("residual", "before_um"), ("residual", "after_um"),
                            ("beamspot", "x0_cm"), ("beamspot", "y0_cm")):
            self.same(figure, shown, numbers[shown], act[name][shown])
        self.look_at_steps(figure, "ot", before["contents"])
        self.look_at_steps(figure, "st", after["contents"])

    def look_at_rates(self, figure, numbers):
        of_run = [path for path, row in self.published(numbers, "DQM").items() if row["run"] == numbers["run"]]
        self.look_at_sum(figure, numbers["histograms"]["rates"], of_run)
        run = next(run for run in self.acts[numbers["act"]]["runs"] if run["run"] == numbers["run"])
        self.same(figure, "silent", numbers["silent"], run["photomultipliers"]["silent"])
        self.look_at_steps(figure, "st", numbers["histograms"]["rates"]["contents"])

    def look_at_accepted_peak(self, figure, numbers):
        harvest = self.read(numbers["sources"][0])
        self.same(figure, "run", numbers["run"], harvest["run"])
        self.same(figure, "counts", numbers["counts"], harvest["mass_histogram"]["counts"])
        constant = self.constants(numbers, "scale")[numbers["run"]]
        self.same(figure, "hash", numbers["hash"], constant["hash"])
        for name in ("mass_gev", "mass_err_gev", "k", "k_err", "min2nll", "ndf", "n"):
            self.same(figure, name, numbers[name], constant["payload"][name])
        act = self.acts[numbers["act"]]
        self.same(figure, "k of the document", numbers["k"], act["scale"]["k"])
        self.same(figure, "peak of the document", numbers["mass_gev"], act["z_peak"]["gev"])
        self.look_at_points(figure, numbers["counts"])

    # Constants.

    def look_at_beam_spot(self, figure, numbers):
        name, act = numbers["coordinate"], self.acts[numbers["act"]]
        told = {}
        for run in act["runs"]:
            for constant in run["constants"]:
                if constant["tag"].startswith("beamspot") and name in constant["values"]:
                    told[run["run"]] = (constant["values"][name] * UM_PER_CM, constant["errors"][name] * UM_PER_CM)
        shown = {point["run"]: (point["value"], point["error"]) for point in numbers["points"]}
        self.same(figure, "runs", sorted(shown), sorted(told))
        for run in shown.keys() & told.keys():
            self.same(figure, f"run {run}", list(shown[run]), list(told[run]))
        constants = self.constants(numbers, "beamspot")
        self.same(figure, "IOVs", [iov["since"] for iov in numbers["iovs"]], sorted(constants))
        self.same(figure, "IOVs of the document", len(numbers["iovs"]), act["beamspot"]["iovs"])
        for iov in numbers["iovs"]:
            if iov["since"] in constants:
                value = constants[iov["since"]]["payload"][name] * UM_PER_CM
                self.same(figure, f"IOV since {iov['since']}", iov["value"], value)
        truth = self.folder / self.act_folder(numbers) / "truth.json"
        if truth.exists():
            true = [[run["run"], run[name] * UM_PER_CM] for run in json.loads(truth.read_text())["runs"]]
            self.same(figure, "truth", numbers["truth"], true)
        else:
            self.same(figure, "truth", numbers["truth"], [])
        dots = circles(figure)
        self.look_at_line(figure, "dots", dots, [(at, point["value"]) for at, point in enumerate(numbers["points"])])

    # The system.

    def look_at_latency(self, figure, numbers):
        rows = {job["id"]: job for job in self.rows_of_jobs(numbers).values()
                if job["task"]["pipeline"] == "express" and job["stamps"]["done"]}
        shown = {job["job"]: job["latency_s"] for job in numbers["jobs"]}
        self.same(figure, "jobs", sorted(shown), sorted(rows))
        took = {number: (job["stamps"]["done"] - job["stamps"]["seen"]) / 1e9 for number, job in rows.items()}
        for number in shown.keys() & took.keys():
            self.same(figure, f"job {number}", shown[number], took[number])
        ordered = sorted(took.values())
        for name, q in (("p50_s", 0.5), ("p99_s", 0.99)):
            self.same(figure, name, numbers[name], ordered[max(math.ceil(q * len(ordered)), 1) - 1])
        late = sum(job["deadline"] is not None and job["stamps"]["done"] > job["deadline"] for job in rows.values())
        self.same(figure, "missed", numbers["missed"], late)
        budgets = [run["budget_s"] for run in self.acts[numbers["act"]]["runs"] if run["budget_s"] is not None]
        self.same(figure, "budget", numbers["budget_s"], budgets[0] if budgets else None)
        limits = elements(figure, "line", "bu")
        if bool(budgets) != (len(limits) == 1):
            self.say(figure, "the budget has no line")

    def look_at_timeline(self, figure, numbers):
        of_run = [job for job in self.rows_of_jobs(numbers).values() if job["run"] == numbers["run"]]
        begin = min(job["stamps"]["seen"] for job in of_run)
        rows = {job["id"]: job for job in of_run}
        self.same(figure, "jobs", len(numbers["jobs"]) + numbers["left_out"], len(of_run))
        for shown in numbers["jobs"]:
            stamps = rows[shown["job"]]["stamps"]
            for name in ("made", "started", "reported", "done"):
                self.same(figure, f"job {shown['job']} {name}", shown[f"{name}_s"], (stamps[name] - begin) / 1e9)
        bars = [bar for bar in elements(figure, "rect", "wo")][1:]
        drawn = [(float(bar.get("x")), 0.0) for bar in bars]
        self.look_at_line(figure, "programs", drawn, [(job["started_s"], 0.0) for job in numbers["jobs"]])

    def look_at_slices(self, figure, numbers):
        account = self.read(numbers["sources"][0])
        self.same(figure, "run", numbers["run"], account["run"])
        slices = account["slices"]
        for shown, published in (("first", "first"), ("last", "last"), ("absent", "absent_ranges"),
                                 ("partial", "cut_short_ranges")):
            self.same(figure, shown, numbers[shown], slices[published])
        bars = elements(figure, "rect", "ab")[1:]
        drawn = [(float(bar.get("x")), 0.0) for bar in bars]
        self.look_at_line(figure, "absent slices", drawn, [(first, 0.0) for first, _ in numbers["absent"]])

    # What is drawn.

    def look_at_points(self, figure, contents):
        points = [(bin_, float(content)) for bin_, content in enumerate(contents) if content > 0]
        self.look_at_line(figure, "points", circles(figure), points)

    def look_at_steps(self, figure, look, contents):
        paths = elements(figure, "path", look)
        corners = [tuple(map(float, corner.split())) for corner in re.findall(r"[ML]([-\d. ]+)", paths[-1].get("d"))]
        # Two corners a bin, between one on the axis at each end.
        drawn = corners[1:-1:2]
        self.look_at_line(figure, "steps", drawn, [(bin_, float(content)) for bin_, content in enumerate(contents)])

    def look_at_line(self, figure, what, drawn, values):
        """Places must follow the values along one line, for abscissa and ordinate."""
        self.looked += 1
        if len(drawn) != len(values):
            self.say(figure, f"{len(drawn)} {what} are drawn of {len(values)}")
            return
        for axis in (0, 1):
            pairs = sorted((value[axis], place[axis]) for value, place in zip(values, drawn))
            if not pairs or pairs[0][0] == pairs[-1][0]:
                continue
            slope = (pairs[-1][1] - pairs[0][1]) / (pairs[-1][0] - pairs[0][0])
            for value, place in pairs:
                if abs(pairs[0][1] + slope * (value - pairs[0][0]) - place) > PLACE_TOLERANCE:
                    self.say(figure, f"{what}: {value} is drawn at {place}, off the line of the others")
                    return


def element(document, name):
    """A histogram of a document, wherever programs put it."""
    for where in (document, document.get("histograms", {}),
                  document.get("parts", {}).get("prompt", {}).get("histograms", {})):
        if isinstance(where.get(name), dict) and "uhi_schema" in where[name]:
            return where[name]
    return None


def elements(figure, name, look):
    tree = xml.etree.ElementTree.fromstring(figure["svg"])
    return [e for e in tree.iter(f"{SVG}{name}") if e.get("class") == look]


def circles(figure):
    """Points without that of the legend."""
    return [(float(e.get("cx")), float(e.get("cy"))) for e in elements(figure, "circle", "pt")][1:]


def changes(page):
    """One copy of the figures for each kind of picture, with one number changed."""
    numbers_of = {
        "accepted_peak": lambda n: n.update(mass_gev=n["mass_gev"] + 1e-3),
        "mass": lambda n: n["histograms"]["prompt"]["contents"].__setitem__(60, n["histograms"]["prompt"]["contents"][60] + 1),
        "beside": lambda n: n["histograms"]["prompt"].update(entries=n["histograms"]["prompt"]["entries"] - 1),
        "residual": lambda n: n["histograms"]["before"].update(overflow=n["histograms"]["before"]["overflow"] + 1),
        "beam_spot": lambda n: n["points"][-1].update(value=n["points"][-1]["value"] + 0.1),
        "latency": lambda n: n["jobs"][0].update(latency_s=n["jobs"][0]["latency_s"] * 2),
        "timeline": lambda n: n["jobs"][-1].update(done_s=n["jobs"][-1]["done_s"] + 1e-3),
        "slices": lambda n: n["absent"].pop(),
        "rates": lambda n: n["histograms"]["rates"].update(underflow=7.0),
    }
    for kind in sorted({figure["kind"] for figure in page.figures}):
        changed = copy.copy(page)
        changed.figures = copy.deepcopy(page.figures)
        numbers_of[kind](next(f for f in changed.figures if f["kind"] == kind)["numbers"])
        yield f"a number of {kind}", changed
    moved = copy.copy(page)
    moved.figures = copy.deepcopy(page.figures)
    figure = next(f for f in moved.figures if f["kind"] == "accepted_peak")
    at = [m.start(1) for m in re.finditer(r'<circle class="pt" cx="[\d.]+" cy="([\d.]+)"', figure["svg"])][10]
    figure["svg"] = figure["svg"][:at] + "9" + figure["svg"][at:]
    yield "a point that is drawn elsewhere", moved
    renamed = copy.copy(page)
    renamed.figures = copy.deepcopy(page.figures)
    figure = next(f for f in renamed.figures if f["numbers"]["label"].startswith("SIM"))
    figure["svg"] = figure["svg"].replace(figure["numbers"]["label"], "REAL, CMS")
    yield "a simulated picture that calls itself real", renamed
    fewer = copy.copy(page)
    fewer.figures = page.figures[1:]
    yield "a picture that is not there", fewer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--document", required=True, type=pathlib.Path)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--self-check", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    document = json.loads(arguments.document.read_text())
    page = Page((folder / "report.html").read_text())
    if arguments.self_check:
        missed = [what for what, changed in changes(page) if not Judge(document, folder).look(changed)]
        print(json.dumps({"agrees": not missed, "not noticed": missed}))
        return 1 if missed else 0
    judge = Judge(document, folder)
    found = judge.look(page)
    agrees = not found and bool(page.figures)
    print(json.dumps({"agrees": agrees, "pictures": len(page.figures), "compared": judge.looked,
                      "why": found[:SHOWN], "in_all": len(found)}))
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
