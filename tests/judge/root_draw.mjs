// Judge: JSROOT opens a ROOT file of monitor elements and draws every histogram and profile, from
// the file and from ROOT JSON, as the browser does.
//
//     node root_draw.mjs FOLDER
//
// FOLDER is what the example `root_files` of the room dqm has left; JSROOT 7.11.2 has to be found by
// node (`npm install --ignore-scripts jsroot@7.11.2` in the folder this is started from). Prints one
// JSON line and exits 0 when it agrees, 1 when it does not, 2 when it could not look.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const verdict = (agrees, figures) => {
  console.log(JSON.stringify({ judge: "root_draw", agrees, ...figures }));
  process.exit(agrees === null ? 2 : agrees ? 0 : 1);
};

const folder = process.argv[2];
let jsroot;
try {
  const found = createRequire(join(process.cwd(), "here.js")).resolve.paths("jsroot")[0];
  jsroot = await import(pathToFileURL(join(found, "jsroot", "modules", "main.mjs")));
} catch (error) {
  verdict(null, { error: String(error) });
}

// Marks of a drawing.
const drawn = async (object) => {
  const svg = await jsroot.makeSVG({ object, width: 400, height: 300 });
  return (svg.match(/<(path|rect|g)/g) ?? []).length;
};

const disagreements = [];
let compared = 0;
const objects = JSON.parse(readFileSync(join(folder, "a.objects.json"), "utf8"));
const run = JSON.parse(readFileSync(join(folder, "tests.json"), "utf8")).run;
const bytes = readFileSync(resolve(folder, "a.root"));
const file = await jsroot.openFile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
// An empty histogram is axes alone; any other has more.
const axes = await drawn(jsroot.parse(objects["Muons/Tracks/empty"]));
for (const [path, text] of Object.entries(objects)) {
  const [subsystem, ...rest] = path.split("/");
  const stored = await file.readObject(`DQMData/Run ${run}/${subsystem}/Run summary/${rest.join("/")}`);
  const parsed = jsroot.parse(text);
  compared += 1;
  if (stored._typename !== parsed._typename) disagreements.push(`${path}: ${stored._typename}`);
  if (!stored.fXaxis) continue;
  for (const member of ["fArray", "fSumw2", "fBinEntries", "fEntries", "fTsumwx2"]) {
    compared += 1;
    const [a, b] = [stored, parsed].map((it) => JSON.stringify(Array.from(it[member] ?? [], Number)));
    if (a !== b && stored[member] !== parsed[member]) disagreements.push(`${path}: ${member} differs`);
  }
  const marks = [await drawn(stored), await drawn(parsed)];
  compared += 1;
  const enough = stored.fEntries > 0 ? marks[0] > axes : marks[0] === axes;
  if (!enough || marks[0] !== marks[1]) disagreements.push(`${path}: ${marks} marks drawn`);
}
verdict(disagreements.length === 0, { jsroot: jsroot.version, compared, disagreements });
