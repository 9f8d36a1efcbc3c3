"""Judge: JSROOT draws the monitor elements of a ROOT file and of ROOT JSON in Chromium.

    root_draw.py --folder FOLDER --jsroot jsroot.min.js [--screenshot PICTURE.png]

FOLDER is what the example `root_files` of the room dqm has left; the bundle is that of the npm package
`jsroot` (7.11.2: build/jsroot.min.js). They are served on the loopback address to a headless Chromium,
whose page (root_draw.html) draws every histogram and profile, once from the file and once from JSON,
and tells what the painters hold and what paths stand in the SVG. Contents, errors and entries must be
those of the record (UHI JSON), bin by bin; and the picture must show them: every bin of a histogram or
profile lies in one scale to a pixel, a map has as many coloured cells as filled ones, and an empty
histogram is axes alone.
"""

import argparse
import functools
import http.server
import json
import pathlib
import queue
import re
import shutil
import subprocess
import tempfile
import threading

import numpy

import judging
from root_files import Look, expected

PAGE = pathlib.Path(__file__).with_suffix(".html")
PATIENCE_S = 120
# Places are whole pixels, and so is the scale that they are fitted with.
PIXELS = 1.5
# Chromium's own first steps, its tuning services and the GPU are of no use here.
BROWSER = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
           "--disable-background-networking", "--disable-component-update"]


class Answer(http.server.SimpleHTTPRequestHandler):
    """Gives the files of a folder, and takes what the page tells."""

    def __init__(self, *args, told=None, **more):
        self.told = told
        super().__init__(*args, **more)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.told.put(json.loads(body))

    def log_message(self, *args):
        """Nothing: the verdict is the only line."""


def in_browser(folder, bundle, screenshot):
    """What the page tells of the files of a folder."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        raise judging.CannotLook("no chromium; install the package chromium")
    told = queue.Queue()
    with tempfile.TemporaryDirectory() as served:
        for file in (*folder.glob("a.*"), folder / "tests.json"):
            shutil.copy(file, served)
        shutil.copy(bundle, pathlib.Path(served) / "jsroot.min.js")
        shutil.copy(PAGE, pathlib.Path(served) / "page.html")
        handler = functools.partial(Answer, directory=served, told=told)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = f"http://127.0.0.1:{server.server_port}/page.html"
            options = [f"--user-data-dir={served}/profile", "--window-size=1300,1900"]
            if screenshot:
                options += [f"--screenshot={screenshot}", "--virtual-time-budget=20000"]
            else:
                options += ["--remote-debugging-port=0"]
            child = subprocess.Popen([browser, *BROWSER, *options, page],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                answer = told.get(timeout=PATIENCE_S)
                if screenshot:
                    child.wait(timeout=PATIENCE_S)
            except (queue.Empty, subprocess.TimeoutExpired) as late:
                raise judging.CannotLook(f"nothing from {browser} in {PATIENCE_S} s") from late
            finally:
                child.kill()
                child.wait()
                server.shutdown()
    if "error" in answer:
        raise judging.CannotLook(f"the page: {answer['error']}")
    return answer


def rectangles(path):
    """Areas of the closed rectangles of a map, in pixels."""
    return [int(w) * int(h) for w, h in re.findall(r"h(-?\d+)v(-?\d+)h-?\d+z", path)]


def heights(paths, bins, width):
    """Where a picture shows each bin, in pixels from the top; none for a bin without a mark."""
    text = " ".join(paths)
    found = [None] * bins
    marks = [(int(x), int(y)) for x, y in re.findall(r"M(-?\d+),(-?\d+)h\d+", text)]
    if len(marks) > 1:
        # Boxes of errors come behind the marks, for the mouse.
        for x, y in reversed(marks):
            found[round(x / width * bins)] = y
        return found
    # A single line: to the right along a bin, up and down between two.
    x, y = 0, 0
    for command, first, second in re.findall(r"([MLhv])(-?\d+)(?:,(-?\d+))?", text):
        if command == "L":
            break
        if command == "M":
            x, y = int(first), int(second)
        elif command == "v":
            y += int(first)
        else:
            for place in range(round(x / width * bins), round((x + int(first)) / width * bins)):
                found[place] = y
            x += int(first)
    return found


def look_at_picture(look, path, told, record, values):
    """Whether what is drawn lies where the bins say, to a pixel or two."""
    inside = values[tuple(slice(1, -1) for _ in values.shape)]
    width, height = told["frame"]
    look.true(f"{path}: a frame of {told['frame']}", min(width, height) > 100)
    if inside.ndim == 2:
        areas = [area for path_ in told["paths"] for area in rectangles(path_)]
        drawn = sum(map(abs, areas)) / (width * height / inside.size)
        filled = numpy.count_nonzero(inside)
        look.true(f"{path}: {drawn:.1f} cells are coloured, {filled} are filled",
                  abs(drawn - filled) < 0.03 * filled)
        return
    if not inside.any():
        look.true(f"{path}: something is drawn of nothing: {told['paths']}", not any(told["paths"]))
        return
    seen = heights(told["paths"], inside.size, width)
    drawn = numpy.array([y is not None for y in seen])
    look.true(f"{path}: no mark for bins {numpy.flatnonzero(~drawn & (inside != 0)) + 1}",
              not (~drawn & (inside != 0)).any())
    marks = numpy.array([y for y in seen if y is not None], dtype=float)
    slope, zero = numpy.polyfit(inside[drawn], marks, 1)
    off = numpy.abs(marks - zero - slope * inside[drawn]).max()
    look.true(f"{path}: a bin is {off:.1f} pixels from where it belongs", slope < 0 and off <= PIXELS)
    spread = -slope * numpy.ptp(inside[drawn]) / height
    look.true(f"{path}: the picture uses {spread:.2f} of the frame", spread > 0.1)


def compare(look, path, record, told):
    """One element, drawn from one source."""
    values, errors, entries = expected(record)
    for name, got, expect in (("contents", told["contents"], values), ("errors", told["errors"], errors)):
        # The page goes along x first, the record along y.
        look.same(f"{path}: {name}", got, numpy.transpose(expect).ravel())
    look.same(f"{path}: entries", told["entries"], entries, exactly=True)
    look_at_picture(look, path, told, record, values)


def examine(args):
    records = json.loads((args.folder / "a.uhi.json").read_text(encoding="utf-8"))
    told = in_browser(args.folder, args.jsroot, args.screenshot)
    look = Look()
    look.true(f"drawn are {sorted(told['found'])}", set(told["found"]) == set(records))
    for path, record in records.items():
        both = told["found"][path]
        look.true(f"{path}: types {both}", both["file"]["type"] == both["json"]["type"])
        for source, found in both.items():
            if "contents" in found:
                compare(look, f"{path} ({source})", record, found)
    figures = {"jsroot": told["version"], "browser": re.findall(r"\w*Chrome/\S+", told["agent"])}
    return {**figures, "compared": look.compared}, look.disagreements


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--jsroot", required=True, type=pathlib.Path)
    parser.add_argument("--screenshot", type=pathlib.Path)
    args = parser.parse_args()
    judging.judge("root_draw", lambda: examine(args))
