"""Judge of the schemas for editors: they know the keys that the program knows, and no others.

    schema.py --tier0 PROGRAM [FOLDER ...]

Asks `tier0 check` for the keys of every table, by a key that is none, and compares them with the
schemas' own; validates every configuration and definition that comes with the project, and those in the
folders named; and sees both schemas refuse what `tests/broken` gets wrong about keys, words and units.
Prints one JSON line; exits 0 when they agree, 1 when they do not, 2 when it could not look.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

import jsonschema

import judging

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGURATION, DEFINITION = "config/schema.json", "pipelines/schema.json"
# Longer than any word is near to, so that the program lists the keys instead of guessing one.
NOT_A_KEY = "zzzzzzzzzzzzzzzz"
ODD = f"{NOT_A_KEY} = 1\n"
STREAM = '[[stream]]\nname = "a"\nfolder = "in"\nlabel = "real"\nrun = 1\nstream = "A"\n'
HEAD = '[pipeline]\nname = "p"\ntrigger = { stream = "A" }\n'
TASK = '[[task]]\nname = "t"\nprogram = ["{tier0}"]\n'
# What a mistake of these codes is about is in the schemas' reach: keys, kinds, units, words.
SEEN_BY_SCHEMAS = {"T002", "T004", "T006", "T007", "T009"}


def tables_of_configuration():
    """Where each table of a configuration is in its schema, and a text with the odd key in it."""
    over = "properties/pipelines/additionalProperties"
    return [
        ("", ODD), ("properties/instance", "[instance]\n" + ODD), ("properties/store", "[store]\n" + ODD),
        ("properties/api", "[api]\n" + ODD), ("properties/stream/items", STREAM + ODD),
        ("properties/executor/properties/local", "[executor.local]\n" + ODD),
        ("properties/era/items", '[[era]]\nname = "e"\nfrom_run = 1\n' + ODD),
        (f"{over}/properties/blocks", "[pipelines.express.blocks]\n" + ODD),
        ("$defs/budget", '[pipelines.express.budget]\nseen_to_published = "1s"\n' + ODD),
    ]


def tables_of_definition(splitters):
    """The same for a pipeline's file."""
    task = "properties/task/items"

    def inside(key, rest=""):
        return f"{HEAD}{TASK}{key} = {{ {rest}{', ' if rest else ''}{NOT_A_KEY} = 1 }}\n"

    rows = [
        ("", ODD + HEAD + TASK), ("properties/pipeline", HEAD + ODD + TASK), (task, HEAD + TASK + ODD),
        (f"{task}/properties/needs", inside("needs")), (f"{task}/properties/retry", inside("retry")),
        (f"{task}/properties/retry/properties/once_more",
         f"{HEAD}{TASK}retry = {{ once_more = {{ {NOT_A_KEY} = 1 }} }}\n"),
        (f"{task}/properties/retry/properties/on/additionalProperties",
         f"{HEAD}{TASK}retry = {{ on = {{ memory = {{ {NOT_A_KEY} = 1 }} }} }}\n"),
        ("$defs/release", inside("release", 'when = "run_closed"')),
        (f"{task}/properties/gate/items",
         f'{HEAD}{TASK}[[task.gate]]\ntag = "t"\nn_min = 1\nmax_sigma = 3\n{ODD}'),
        ("properties/pipeline/properties/trigger",
         f'[pipeline]\nname = "p"\ntrigger = {{ stream = "A", {NOT_A_KEY} = 1 }}\n{TASK}'),
    ]
    for at, row in enumerate(splitters):
        word = row["if"]["properties"]["by"]["const"]
        rows.append((f"$defs/split/allOf/{at}/then", inside("split", f'by = "{word}"')))
    return rows


def follow(schema, pointer):
    for step in filter(None, pointer.split("/")):
        schema = schema[int(step)] if isinstance(schema, list) else schema[step]
    return schema


class Asked:
    """`tier0 check` on configurations in a folder of its own."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        (folder / "in").mkdir()

    def keys(self, configuration, definition=None):
        """The keys that the program names where it meets the odd one; none where it does not."""
        pipelines = self.folder / "pipelines"
        pipelines.mkdir(exist_ok=True)
        if definition is not None:
            (pipelines / "p.toml").write_text(definition, encoding="utf-8")
            configuration = f'{STREAM}[pipelines]\nfolder = "pipelines"\n' + configuration
        path = self.folder / "site.toml"
        path.write_text(configuration, encoding="utf-8")
        done = subprocess.run([self.program, "--config", path, "check"], capture_output=True, text=True,
                              check=False)
        said = done.stdout + done.stderr
        if "is not built yet" in said and f'has no key "{NOT_A_KEY}"' not in said:
            return None
        about = re.search(rf'has no key "{NOT_A_KEY}"(.*?)(?=\n\S*error|\Z)', said, re.DOTALL)
        if about is None:
            raise judging.CannotLook(f"the program takes {NOT_A_KEY!r} in:\n{configuration}\n{definition}\n{said}")
        listed = re.search(r"its keys are ([a-z0-9_, ]+)", about.group(1))
        return set(listed.group(1).split(", ")) if listed else set()


def compare_keys(program, schemas, found):
    """Every table's keys, as the program and the schema name them."""
    compared = 0
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(program, pathlib.Path(folder))
        rows = [(CONFIGURATION, pointer, asked.keys(text))
                for pointer, text in tables_of_configuration()]
        splitters = schemas[DEFINITION]["$defs"]["split"]["allOf"]
        rows += [(DEFINITION, pointer, asked.keys("", text))
                 for pointer, text in tables_of_definition(splitters)]
    for name, pointer, keys in rows:
        if keys is None:
            continue
        own = set(follow(schemas[name], pointer)["properties"])
        # What is refused with a reason of its own stands in no schema.
        own, keys = own - {"bus"}, keys - {"bus", "slurm", "htcondor", "arc", "password"}
        # A splitter without parameters says that it takes none but its own word.
        if own != keys and not (keys == set() and own <= {"by"}):
            found.append(f"{name}#/{pointer}: the schema has {sorted(own - keys)} more and lacks "
                         f"{sorted(keys - own)}")
        compared += 1
    return compared


def mistakes(validator, path):
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError:
        return ["no TOML"]
    # A date is no JSON; nothing here has one.
    return [f"{path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def kind_of(path):
    return DEFINITION if path.parent.name in ("pipelines", "definitions") else CONFIGURATION


def accepted(validators, folders, found):
    """What comes with the project and what the demo has made is right."""
    paths = [ROOT / "config/tier0.toml", *sorted((ROOT / "config/sites").glob("*.toml")),
             *sorted((ROOT / "pipelines/definitions").glob("*.toml"))]
    for folder in folders:
        paths += sorted(folder.glob("**/tier0.toml")) + sorted(folder.glob("**/pipelines/*.toml"))
    for path in paths:
        wrong = mistakes(validators[kind_of(path)], path)
        # Sites of parts that are not built yet are examples of the design.
        wrong = [text for text in wrong if not re.search("'(slurm|htcondor|arc|bus)'", text)]
        if wrong:
            found += wrong
    return len(paths)


def refused(validators, found):
    """What `tests/broken` gets wrong in a schema's reach."""
    seen = 0
    for case in sorted((ROOT / "tests/broken").iterdir() if (ROOT / "tests/broken").is_dir() else []):
        expected = case / "expected.txt"
        if not expected.exists():
            continue
        codes = set(re.findall(r"\b([A-Z]\d{3})\b", expected.read_text(encoding="utf-8")))
        if not codes or not codes <= SEEN_BY_SCHEMAS or "environment" in case.name:
            continue
        wrong = [text for path in sorted(case.glob("**/*.toml"))
                 for text in mistakes(validators[kind_of(path)], path)]
        if not wrong:
            found.append(f"{case.name}: the program refuses it ({sorted(codes)}), the schemas do not")
        seen += 1
    return seen


def look(program, folders):
    schemas = {name: json.loads((ROOT / name).read_text(encoding="utf-8"))
               for name in (CONFIGURATION, DEFINITION)}
    found = []
    generated = subprocess.run([sys.executable, ROOT / "config/schema.py"], capture_output=True, text=True,
                               check=False)
    if generated.returncode != 0:
        found.append(generated.stderr.strip())
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    validators = {name: jsonschema.Draft202012Validator(schema) for name, schema in schemas.items()}
    facts = {"tables": compare_keys(program.resolve(), schemas, found),
             "accepted": accepted(validators, folders, found), "refused": refused(validators, found)}
    return facts, found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tier0", required=True, type=pathlib.Path)
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    judging.judge("schema", lambda: look(arguments.tier0, arguments.folders))
