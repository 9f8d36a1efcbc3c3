"""Judge of foreign Parquet: what pyarrow writes from a CSV data set is played as the same events.

    tables.py --tier0 PATH --folder DIR

A simulated CSV data set is read and written again by pyarrow, in several layouts. Each is played
by `tier0 inject`; the event containers are taken apart here and compared with the CSV, number by
number. What cannot be read must be refused by name, and leave no container behind.
"""

import argparse
import pathlib
import struct
import subprocess
import zlib

import pyarrow
import pyarrow.csv
import pyarrow.parquet
from judging import judge


def rows_of(spool):
    """The rows of every container, as numbers, in order."""
    rows = []
    for path in sorted(spool.rglob("*.dat")):
        data = path.read_bytes()
        magic, _, length, _ = struct.unpack_from("<4sIII", data)
        if magic != b"T0EV":
            raise ValueError(f"{path} is no container")
        at = 16 + length
        while at < len(data):
            size, checksum = struct.unpack_from("<II", data, at)
            frame = data[at + 8:at + 8 + size]
            if zlib.adler32(frame) != checksum:
                raise ValueError(f"{path}: a frame at {at} is damaged")
            for line in frame[8:].decode().split("\n"):
                rows.append(tuple(float(field) for field in line.split(",")))
            at += 8 + size
    return sorted(rows)


def inject(tier0, data, spool):
    command = [tier0, "-q", "inject", "--data", data, "--spool", spool]
    return subprocess.run(command, capture_output=True, text=True)


def narrow(table):
    """Runs and charges in 32 bits, as whoever saves space has them."""
    columns = ("Run", "Q1", "Q2")
    fields = [pyarrow.field(f.name, pyarrow.int32() if f.name in columns else f.type)
              for f in table.schema]
    return table.cast(pyarrow.schema(fields))


def look(tier0, folder):
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "simulated.csv"
    subprocess.run([tier0, "program", "mc", "--out", source, "--truth", folder / "truth.json",
                    "--seed", "5", "--runs", "3"], check=True, capture_output=True)
    table = pyarrow.csv.read_csv(source)
    wanted = sorted(tuple(float(value) for value in row)
                    for row in zip(*(column.to_pylist() for column in table.columns)))
    layouts = {
        "as_it_comes": (table, {}),
        "plain": (narrow(table), {"use_dictionary": False, "compression": "NONE"}),
        "small_groups": (table, {"row_group_size": 97, "data_page_version": "2.0",
                                 "version": "2.6"}),
    }
    disagreements, compared = [], 0
    for name, (made, options) in layouts.items():
        path = folder / f"{name}.parquet"
        pyarrow.parquet.write_table(made, path, **options)
        ran = inject(tier0, path, folder / name)
        if ran.returncode != 0:
            disagreements.append(f"{name}: refused: {ran.stderr.strip()}")
            continue
        found = rows_of(folder / name)
        compared += len(found)
        if found != wanted:
            differ = sum(one != other for one, other in zip(found, wanted))
            disagreements.append(f"{name}: {len(found)} rows for {len(wanted)}, {differ} differ")
    nested = pyarrow.array([[0.0, 1.0]] * table.num_rows)
    refused = {
        "other_compression": (table, {"compression": "BROTLI"}),
        "nested": (table.append_column("iso", nested), {}),
        "a_column_less": (table.drop_columns(["pt1"]), {}),
    }
    for name, (made, options) in refused.items():
        path = folder / f"{name}.parquet"
        pyarrow.parquet.write_table(made, path, **options)
        ran = inject(tier0, path, folder / name)
        said = ran.stderr.strip()
        if ran.returncode == 0 or path.name not in said or list((folder / name).rglob("*.dat")):
            disagreements.append(f"{name}: not refused by name: {said}")
    figures = {"layouts": len(layouts), "refused": len(refused), "compared": compared}
    return figures, disagreements


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tier0", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    given = parser.parse_args()
    judge("tables", lambda: look(given.tier0, given.folder))


if __name__ == "__main__":
    main()
