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
known = {rule["properties"]["record"]["const"]: rule for rule in schema["oneOf"] if "$ref" in rule}
# A record meets the rule of its own kind alone, which names the kind. To try the others too takes several times as long.
of_kind = {
    kind: Draft202012Validator({**rule, "$defs": schema["$defs"]}, format_checker=FormatChecker()) for kind, rule in known.items()
}
seen = set()
count = 0
summary = None
for path in sys.argv[2:]:
    for line in pathlib.Path(path).read_text().splitlines():
        record = json.loads(line)
        kind = record["record"]
        assert kind in known, record
        of_kind[kind].validate(record)
        if kind not in seen:
            validator.validate(record)
            seen.add(kind)
        extra = set(record) - {"record"} - set(schema["$defs"][kind]["properties"])
        assert not extra, f"fields that the schema does not have: {extra}"
        count += 1
        if record["record"] == "summary":
            summary = record
assert count
# A schema that accepts everything would prove nothing.
if summary:
    assert validator.is_valid({**summary, "surplus": 1}) and validator.is_valid({"record": "later"})
    for broken in [{**summary, "verdict": "perhaps"}, {**summary, "exit_code": 2}, {**summary, "gaps": -1}, {}]:
        assert not validator.is_valid(broken), broken
    assert not validator.is_valid({name: value for name, value in summary.items() if name != "finished"})
print(count)
