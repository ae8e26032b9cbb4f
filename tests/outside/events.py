"""Checks the output of `ctverify events` against the objects, with the standard library alone.

    events.py COPY RECORDS EVENTS

COPY is a copy of the bucket, RECORDS are the records of the verification and EVENTS the events, both
in JSON Lines. Every event has to stand in its log file byte for byte, the log file has to have the hash
that a digest in the copy lists, and the events of all intact log files have to be there, in order.
"""

import gzip
import hashlib
import json
import pathlib
import sys


def slices(text):
    """The records of a log file as they stand in its text."""
    decoder = json.JSONDecoder()
    at = text.index("[", text.index('"Records"')) + 1
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        if text[at] == "]":
            return
        _, end = decoder.raw_decode(text, at)
        yield text[at:end]
        at = end


def main(copy, records, events):
    copy = pathlib.Path(copy)
    listed = {}
    for path in copy.rglob("*CloudTrail-Digest*.json.gz"):
        try:
            digest = json.loads(gzip.decompress(path.read_bytes()))
        except (OSError, EOFError, ValueError):
            continue
        for file in digest["logFiles"]:
            listed.setdefault(file["s3Object"], set()).add(file["hashValue"].lower())
    expected = []
    for line in pathlib.Path(records).read_text().splitlines():
        record = json.loads(line)
        if record["record"] == "log_file" and record["status"] == "intact":
            content = gzip.decompress((copy / record["key"]).read_bytes())
            sha256 = hashlib.sha256(content).hexdigest()
            assert sha256 in listed[record["key"]], record
            expected += [
                (record["key"], sha256, index, part) for index, part in enumerate(slices(content.decode()))
            ]
    lines = pathlib.Path(events).read_text().split("\n")
    assert lines.pop() == "" and "summary" in json.loads(lines.pop())
    found = []
    for line in lines:
        proof = json.loads(line)["proof"]
        assert line.startswith('{"event":')
        event = line[len('{"event":') : line.rindex(',"proof":')]
        found.append((proof["key"], proof["sha256"], proof["index"], event))
    assert found == expected, "the events differ"
    print(f"{len(found)} events agree")


main(*sys.argv[1:])
