"""Records, held against the schema that the program prints.

usage: records.py SCHEMA RECORDS.jsonl …
"""

import json
import pathlib
import sys

from jsonschema import Draft202012Validator, FormatChecker

schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema, format_checker=FormatChecker())
known = {rule["if"]["properties"]["record"]["const"] for rule in schema["allOf"]}
count = 0
for path in sys.argv[2:]:
    for line in pathlib.Path(path).read_text().splitlines():
        record = json.loads(line)
        validator.validate(record)
        assert record["record"] in known, record
        extra = set(record) - set(schema["$defs"][record["record"]]["properties"])
        assert not extra, f"fields that the schema does not tell of: {extra}"
        count += 1
assert count
print(count)
