"""Runs the statements of a page on the table of `ctverify events --parquet`.

    statements.py FOLDER PAGE

FOLDER has the table in `lake`, PAGE is a page of Markdown. Those for DuckDB have to run. The columns of the
statement for Athena, which only AWS runs, have to be those of the files.
"""

import os
import pathlib
import re
import sys

import duckdb
import pyarrow
import pyarrow.parquet


def hive(kind):
    """The type of a column in the words of Hive."""
    if pyarrow.types.is_string(kind):
        return "string"
    if pyarrow.types.is_int64(kind):
        return "bigint"
    if pyarrow.types.is_map(kind):
        return f"map<{hive(kind.key_type)},{hive(kind.item_type)}>"
    if pyarrow.types.is_list(kind):
        return f"array<{hive(kind.value_type)}>"
    return f"struct<{','.join(f'{field.name}:{hive(field.type)}' for field in kind)}>"


def main(folder, page):
    text = pathlib.Path(page).read_text()
    blocks = re.findall(r"<!-- ([^\n]+) -->\n```sql\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == text.count("```sql"), "a statement does not say how it is tried"
    os.chdir(folder)
    ran = 0
    for how, statement in blocks:
        if how == "run: duckdb":
            result = duckdb.sql(statement)
            print(len(result.fetchall()), "rows of", ", ".join(result.columns))
            ran += 1
            continue
        assert how == "not run: Athena", how
        file = next(pathlib.Path("lake").rglob("*.parquet"))
        columns = [f"{field.name} {hive(field.type)}" for field in pyarrow.parquet.read_schema(file)]
        stated = re.search(r"\(\n(.*?)\n\)\nPARTITIONED", statement, re.DOTALL).group(1)
        assert "".join(line.strip() for line in stated.splitlines()) == ",".join(columns), stated
    print(ran, "statements ran")


main(*sys.argv[1:])
