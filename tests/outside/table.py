"""Checks the table of `ctverify events --parquet`, or of a plan's units, against the events in JSON Lines.

    table.py FOLDER EVENTS

FOLDER has the Parquet files, EVENTS the events of the same trail, from `ctverify events`. The files are read with
pyarrow and with DuckDB. Every event has to be there once with its proof, in the folder of its day, and each column
has to have what Python's own reading of the record gives.
"""

import datetime
import json
import pathlib
import re
import sys

import duckdb
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

SPACE = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder()


def value(text, at):
    """The JSON value at a position, as it stands in the text, and the position behind it."""
    _, end = DECODER.raw_decode(text, at)
    return text[at:end], end


def skip(text, at):
    return SPACE.match(text, at).end()


def members(text):
    """The members of an object as pairs of name and text; None if it is no object."""
    if not text.startswith("{"):
        return None
    found, at = [], skip(text, 1)
    while text[at] != "}":
        name, at = json.decoder.scanstring(text, at + 1, True)
        part, at = value(text, skip(text, skip(text, at) + 1))
        found.append((name, part))
        at = skip(text, at)
        if text[at] == ",":
            at = skip(text, at + 1)
    return found


def elements(text):
    """The elements of an array, each as it stands in the text; None if it is no array."""
    if not text.startswith("["):
        return None
    found, at = [], skip(text, 1)
    while text[at] != "]":
        part, at = value(text, at)
        found.append(part)
        at = skip(text, at)
        if text[at] == ",":
            at = skip(text, at + 1)
    return found


def content(text):
    """A value as text. Half of a surrogate pair is no character."""
    if not text.startswith('"'):
        return text
    return json.loads(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def expected(text, kind):
    """The value of a column of this type, from the JSON text of its field."""
    if text is None or text == "null":
        return None
    if pyarrow.types.is_string(kind):
        return content(text)
    if pyarrow.types.is_list(kind):
        parts = elements(text)
        return None if parts is None else [expected(part, kind.value_type) for part in parts]
    fields = members(text)
    if fields is None:
        return None
    if pyarrow.types.is_map(kind):
        return sorted({name: expected(part, kind.item_type) for name, part in fields}.items())
    of_name = {name.lower(): part for name, part in fields}
    return {field.name: expected(of_name.get(field.name), field.type) for field in kind}


def day(record):
    """The day of an event, by its time or the begin of its window; None without one."""
    moment = record.get("eventTime")
    if not isinstance(moment, str):
        window = record.get("timeWindow")
        moment = window.get("windowStart") if isinstance(window, dict) else None
    try:
        parsed = datetime.datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        return None
    return parsed.astimezone(datetime.timezone.utc).date().isoformat()


def plain(found, kind):
    """A value as pyarrow gives it, with the entries of maps in order."""
    if found is None or pyarrow.types.is_string(kind):
        return found
    if pyarrow.types.is_map(kind):
        return sorted(found)
    if pyarrow.types.is_list(kind):
        return [plain(element, kind.value_type) for element in found]
    return {field.name: plain(found[field.name], field.type) for field in kind}


def main(folder, events):
    wanted = {}
    for line in pathlib.Path(events).read_text().splitlines():
        parsed = json.loads(line)
        if "proof" in parsed:
            proof = parsed["proof"]
            raw = line[len('{"event":') : line.rindex(',"proof":')]
            wanted[(proof["key"], proof["index"])] = (raw, proof)
    files = sorted(pathlib.Path(folder).rglob("*"))
    # Query engines pass over names that begin with "_" or ".": notes about units, and the temporary
    # files of a worker that was killed, which it could not remove.
    files = [
        file
        for file in files
        if file.is_file() and not any(part[0] in "_." for part in file.relative_to(folder).parts)
    ]
    name = re.compile(r"day=[^/]*/(events|unit-\d{6}-[0-9a-f]{12})-\d{4}\.parquet")
    assert all(name.fullmatch(str(file.relative_to(folder))) for file in files), files
    columns, count = 0, 0
    for file in files:
        table = pyarrow.parquet.ParquetFile(file).read()
        of_day = file.parent.name.removeprefix("day=")
        for row in table.to_pylist():
            raw, proof = wanted.pop((row["proof"]["key"], row["proof"]["index"]))
            count += 1
            assert row["proof"] == proof, row
            assert re.sub(r"[\r\n]", " ", row["raw"]) == raw, (row["raw"], raw)
            assert of_day == (day(json.loads(raw)) or "__HIVE_DEFAULT_PARTITION__"), (of_day, raw)
            fields = {name.lower(): part for name, part in members(row["raw"])}
            for field in table.schema:
                if field.name not in ("raw", "proof"):
                    found, right = plain(row[field.name], field.type), expected(fields.get(field.name), field.type)
                    assert found == right, (field.name, found, right)
                    columns += found is not None
    assert not wanted, f"{len(wanted)} events are missing"
    # DuckDB reads the same, by the folders' days as well.
    table = pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive").to_table()
    assert table.num_rows == count
    same = f"FROM read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"
    for name in table.schema.names:
        kind = table.schema.field(name).type
        rows = duckdb.sql(f'SELECT "{name}" {same} ORDER BY proof.key, proof.index').fetchall()
        order = table.select([name, "proof"]).to_pylist()
        order.sort(key=lambda row: (row["proof"]["key"], row["proof"]["index"]))
        for (found,), row in zip(rows, order, strict=True):
            if name == "day":
                assert str(found) == str(row[name]), (found, row)
            elif name != "proof":
                assert json.dumps(normal(found)) == json.dumps(normal(plain(row[name], kind))), (name, found, row[name])
    by_day = duckdb.sql(f"SELECT day, count(*) {same} GROUP BY day").fetchall()
    assert sum(number for _, number in by_day) == count
    print(f"{count} events agree, {columns} values, {len(files)} files")


def normal(found):
    """Maps are pairs in one program and a dictionary in the other."""
    if isinstance(found, dict):
        return sorted(([name, normal(part)] for name, part in found.items()), key=lambda pair: pair[0])
    if isinstance(found, (list, tuple)):
        return [normal(part) for part in found]
    return found


main(*sys.argv[1:])
