"""The JSON schemas with which editors complete and underline configurations.

`python3 config/schema.py --write` writes `config/schema.json` (an instance's configuration) and
`pipelines/schema.json` (a pipeline); without the flag it says whether they are what it
would write. `tests/judge/schema.py` holds both against what `tier0 check` takes and refuses, so neither
can drift from the program. What shows only among several values (limits that contradict each other,
names that are not there) is left to `tier0 check`.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
ANYTHING = {}
NAME = {"type": "string", "minLength": 1, "maxLength": 64}
SPAN = {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(us|ms|s|m|min|h|d)\s*$",
        "description": 'A duration with its unit, as in "250ms", "60s", "48h".'}
BYTES = {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*[kKMGT]?i?B\s*$",
         "description": 'A size with its unit, as in "512MiB", "4GiB".'}
RUN_TYPES = ["physics", "cosmics", "calibration", "test"]


def whole(low=0, high=None):
    """A whole number within limits."""
    limits = {"minimum": low} | ({} if high is None else {"maximum": high})
    return {"type": "integer"} | limits


def words(*allowed):
    """One of some words."""
    return {"enum": list(allowed)}


def table(keys, needed=(), says=None):
    """A table of these keys and no others."""
    shape = {"type": "object", "additionalProperties": False, "properties": keys}
    if needed:
        shape["required"] = list(needed)
    return shape | ({"description": says} if says else {})


def free(value, says):
    """A table of keys that people name."""
    return {"type": "object", "description": says, "additionalProperties": value}


def members(item):
    """A list."""
    return {"type": "array", "items": item}


SHAPES = {}


def by_run(name, shape):
    """A value of a pipeline: as it is, or by run or era."""
    inner = {"$ref": f"#/$defs/{name}"}
    choices = {"default": inner, "era": free(inner, "Values by era."),
               "from_run": free(inner, "Values by first run.") | {"propertyNames": {"pattern": "^[0-9]+$"}}}
    SHAPES[name] = shape
    SHAPES[f"{name}_by_run"] = {"anyOf": [inner, table(choices)]}
    return {"$ref": f"#/$defs/{name}_by_run"}


def splitter_keys():
    """Each splitter's own keys."""
    count, size, span, flag = V["count"], V["bytes"], V["span"], V["flag"]
    selection = {"run_whitelist": members(whole(1)), "lumi_mask": SHAPE_OF_MASK}
    boundaries = {key: flag for key in
                  ("halt_job_on_file_boundaries", "split_on_run", "apply_lumi_correction")} | selection
    closed, age = V["closed_or_either"], V["age_or_either"]
    return {
        "file": {"files_per_job": count, "wait": flag, "respect_run_boundaries": flag,
                 "total_files": count} | selection,
        "express": {"max_events": count, "max_input_rate": count},
        "express_merge": {"max_size": size, "max_files": count, "max_latency": span, "tail": age},
        "repack": {"max_size_single_lumi": size, "max_size_multi_lumi": size, "max_events": count,
                   "max_files": count, "max_latency": span, "tail": closed},
        "repack_merge": {"min_size": size, "max_size": size, "max_events": count, "max_files": count,
                         "max_edm_size": size, "max_over_size": size, "max_latency": span,
                         "tail": closed, "direct_over": size},
        "run": {"files_per_job": count},
        "event": {"events_per_job": count},
        "alca_harvest": {"timeout": span},
        "dqm_harvest": {"unit": words("run", "multi_run"), "interval": span,
                        "run_blacklist": members(whole(1))} | selection,
        "event_range": {"events_per_job": count, "events_per_lumi": count},
        "event_aware_lumi": {"events_per_job": count, "job_time_limit": span,
                             "allow_creation_failure": flag, "total_events": count} | boundaries,
        "event_aware_file": {"max_events": count},
        "plugin": {"name": V["name"], "program": V["argv"], "within": span,
                   "parameters": free(ANYTHING, "Handed on with each question.")},
        "lumi": {"lumis_per_job": count, "total_lumis": count} | boundaries,
        "min_file": {"files_per_job": count},
        "size": {"size_per_job": size},
        "fixed_delay": {"delay": span},
        "sibling": {"files_per_job": count},
        "merge_by_size": {"merge_size": size, "all_files": flag},
        "parentless_merge": {"min_size": size, "max_size": size, "max_events": count, "max_wait": span,
                             "merge_across_runs": flag},
        "block": {},
        "dataset": {},
    }


SHAPE_OF_MASK = free(members(members(whole(1)) | {"minItems": 2, "maxItems": 2}),
                     'Lumis by run: { "402144" = [[1, 20], [25, 30]] }.')
V = {name: by_run(name, shape) for name, shape in {
    "span": SPAN, "bytes": BYTES, "name": NAME, "count": whole(), "flag": FLAG,
    "decimal": {"type": ["number", "string"]}, "class": words("live", "offline"),
    "mode": words("process", "warm"), "closed_or_either": words("closed", "either"),
    "age_or_either": words("age", "either"),
    "growth": words("constant", "linear", "squared", "exponential"),
    "exhausted": words("grow", "retry", "fail", "park", "split"),
    "same_failure": words("retry", "fail", "park", "split"),
    "argv": members(TEXT) | {"minItems": 1, "description": "The program and its arguments; {tier0} and "
                             "{program:NAME} fill whole arguments."},
}.items()}


def split():
    """How a task's input becomes jobs: the word says which other keys there are."""
    kinds = splitter_keys()
    rows = [{"if": {"properties": {"by": {"const": word}}, "required": ["by"]},
             "then": table({"by": ANYTHING} | keys)} for word, keys in kinds.items()]
    return {"type": "object", "description": "How the task's input becomes jobs.", "required": ["by"],
            "properties": {"by": words(*kinds)}, "allOf": rows}


def retry():
    """What follows when an attempt fails."""
    rule = {"attempts": V["count"], "policy": V["growth"], "base": V["span"], "pause_every": V["count"]}
    classes = words("transient", "input", "memory", "time", "program", "site")
    causes = members({"anyOf": [{"type": "integer"}, classes, {"type": "string", "pattern": "^-?[0-9]+$"}]})
    return table(rule | {
        "max_pause": V["span"], "on": free(table(rule), "Rules of their own, by exit code or class."),
        "never": causes, "once_more": table({"longer_than": V["span"], "on": causes}),
        "on_memory": V["exhausted"], "on_time": V["exhausted"], "on_same_failure": V["same_failure"],
        "factor": V["decimal"], "memory_max": V["bytes"], "wall_max": V["span"],
    }, says="What follows when an attempt fails.")


def decision_table():
    """A decision table by name, or typed out."""
    numbers = {key: V["decimal"] for key in ("cut", "max_move", "max_error", "min_sigma", "min_share")}
    coordinate = table({"name": V["name"]} | numbers, ["name", *numbers])
    typed = table({"n_min": V["count"], "coordinate": members(coordinate) | {"minItems": 1}}, ["n_min", "coordinate"])
    SHAPES["decision_table"] = {
        "anyOf": [words("chamber", "si_pixel_ali", "si_pixel_ali_hg"), typed],
        "description": "A decision table with thresholds of its own (pipelines/tables), instead of the other keys."}
    return {"$ref": "#/$defs/decision_table"}


def task_keys():
    """The keys of a task."""
    tags = {"anyOf": [NAME, members(NAME)]}
    gate = table({"tag": V["name"], "n_min": V["count"], "max_sigma": V["count"], "max_move": V["decimal"],
                  "max_error": V["decimal"], "accumulate": V["flag"],
                  "table": decision_table()},
                 ["tag"])
    gate["anyOf"] = [{"required": ["n_min", "max_sigma"]}, {"required": ["table"]}]
    release = table({"when": words("conditions", "run_known", "run_closed", "approved", "verdict"),
                     "of": tags, "at_most": V["span"], "then": words("provisional"), "delay": V["span"],
                     "lock": V["span"], "redo": words("auto", "ask", "never")}, ["when"], "What must be true of a run before jobs may start.")
    needs = table({"cores": V["count"], "memory": V["bytes"], "wall": V["span"], "conditions": tags,
                    "global_tag": TEXT | {"minLength": 1, "description":
                                          "By which the constants are read; conditions are its records then."}},
                  says="What a job needs: cores, memory, wall time, constants.")
    verdicts = words("bad", "warning", "not_run")
    held = {"type": "string", "pattern": r"^[^.]+\.[^.]+$"}
    action = table({"when": {"anyOf": [verdicts, members(verdicts)]}, "do": words("hold", "calibrate", "page"),
                    "of": {"anyOf": [held, members(held)]}, "at_most": V["span"],
                    "then": words("provisional", "note")}, ["when", "do", "at_most"],
                   "What a verdict does until somebody has looked, or its time is over.")
    kind = {"type": "string", "pattern": "^[a-z0-9]{1,16}$"}
    elements = {"anyOf": [TEXT, members(TEXT)]}
    plugin = table({"name": V["name"], "program": V["argv"], "tests": elements, "measures": tags,
                    "within": V["span"], "parameters": free(ANYTHING, "Handed on with each question.")},
                   ["name", "program"], "A program that the task's program asks (docs/plugins).")
    plugin["oneOf"] = [{"required": ["tests"]}, {"required": ["measures"]}]
    return {
        "name": V["name"], "enabled": V["flag"],
        "input": TEXT | {"description": '"trigger", or task.LABEL of this pipeline.'},
        "split": by_run("split", split()), "program": V["argv"], "mode": V["mode"], "needs": needs,
        "outputs": free(kind, "Labels with kinds of file."), "retry": retry(),
        "release": by_run("release", release), "gate": members(gate), "upload_wait": V["span"],
        "certifies": V["flag"], "on_verdict": members(action), "parameters": free(ANYTHING, "What the program finds in its job."),
        "plugin": members(plugin), "early": V["flag"],
    }


def pipeline_keys():
    """The keys of a pipeline but its name."""
    trigger = table({key: TEXT for key in ("stream", "output", "dataset", "request", "events")},
                    says="What sets it going: a stream's files, or what another pipeline makes.")
    blocks = table({"max_files": V["count"], "max_events": V["count"], "max_bytes": V["bytes"],
                    "close_after": V["span"]}, says="When blocks of its datasets close.")
    return {
        "inherits": TEXT, "class": V["class"], "trigger": trigger, "budget": {"$ref": "#/$defs/budget"},
        "run_types": members(words(*RUN_TYPES)), "processing": V["name"], "primary": V["name"],
        "blocks": blocks, "share": ANYTHING,
    }


def documents():
    """Both schemas, by file."""
    SHAPES["budget"] = table(
        {"seen_to_published": V["span"], "target": V["decimal"]}, ["seen_to_published"],
        "From a file seen to its output published, and the share of files that must keep it.")
    task = task_keys()
    SHAPES["task_over"] = table({key: value for key, value in task.items() if key != "name"})
    over = free({"$ref": "#/$defs/task_over"}, "Tasks by name.")
    stream = {
        "name": NAME, "folder": TEXT, "label": words("real", "simulated"),
        "profile": words("cms", "generic", "km3net"), "pattern": TEXT,
        "how": words("inotify", "poll", "auto"), "recursive": FLAG, "run": whole(1), "stream": NAME,
        "lumi": {"anyOf": [whole(1), {"type": "string", "pattern": "^time:[0-9.]+ *(us|ms|s|m|min|h|d)$"}]},
        "lumi_timeout": SPAN, "run_timeout": SPAN, "absent_lumi": words("missing", "empty"),
        "run_type": words(*RUN_TYPES),
        "completion": words("sidecar", "rename", "close_write", "size_stable"),
        "sidecar_suffix": TEXT, "quiet": SPAN, "scan_interval": SPAN, "poll_interval": SPAN,
    }
    pipelines = free(table(pipeline_keys() | {"task": over}), "What holds over a pipeline's definition.")
    pipelines["properties"] = {"folder": TEXT, "use": {"anyOf": [TEXT, members(TEXT)]}}
    configuration = table({
        "site": TEXT | {"description": "A file of the same shape that lies under this one."},
        "instance": table({"name": NAME, "agent": whole(0, 1023), "state": TEXT, "work": TEXT,
                           "storage": TEXT, "journal": {"anyOf": [BYTES, {"const": "off"}]}}),
        "store": table({"url": TEXT, "password_file": TEXT, "password_env": TEXT,
                        "archive_after": SPAN}),
        "api": table({"listen": TEXT, "allow_remote": FLAG, "socket": TEXT}),
        "executor": table({"local": table({"cores": whole(1, 4096), "pool": whole(0, 4096)})}),
        "programs": free(TEXT, "Programs by the name that {program:NAME} means."),
        # A site's file may have brought the rest of a stream.
        "stream": members(table(stream, ["name"])),
        "release": table({"enabled": FLAG, "copies": members(TEXT) | {"minItems": 2, "maxItems": 2},
                          "soak": SPAN, "one_failure_domain": FLAG}),
        "pipelines": pipelines,
        "dataset": free(table({"budget": {"$ref": "#/$defs/budget"}, "processing": V["name"],
                               "task": over}), "Options of a dataset by its name."),
        "era": members(table({"name": NAME, "from_run": whole(1)}, ["name"])),
    }, says="Configuration of an instance; config/tier0.toml explains every key.")
    definition = table({
        "pipeline": table({"name": V["name"]} | pipeline_keys(), ["name"]),
        "task": members(table(task, ["name"])),
    }, says="One pipeline: a file of a folder of definitions.")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        ROOT / "config/schema.json": head | configuration | {"$defs": SHAPES},
        ROOT / "pipelines/schema.json": head | definition | {"$defs": SHAPES},
    }


def text_of(schema):
    """One line for each shape and section, so that a change shows where it is."""
    lines = []
    for key, value in schema.items():
        if key in ("$defs", "properties"):
            rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(shape)}" for name, shape in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{rows}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main():
    stale = []
    for path, schema in documents().items():
        text = text_of(schema)
        if "--write" in sys.argv[1:]:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name if path.parent.name == "config" else "pipelines/schema.json")
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}; run python3 config/schema.py --write")


if __name__ == "__main__":
    main()
