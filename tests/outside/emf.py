"""Each line of a file is held against the schema that CloudWatch's specification gives for the embedded metric format. Prints how many
lines there are."""
import json
import sys

import jsonschema

# CloudWatch user guide, "Specification: Embedded metric format", "Embedded metric format schema".
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 0},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^(.*)$"},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "minItems": 1, "maxItems": 30,
                                          "items": {"type": "string", "minLength": 1, "maxLength": 250}},
                            },
                            "Metrics": {
                                "type": "array",
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Seconds", "Microseconds", "Milliseconds", "Bytes", "Count", "Percent", "None"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}
count = 0
for line in open(sys.argv[1], encoding="utf-8"):
    document = json.loads(line)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    for directive in document["_aws"]["CloudWatchMetrics"]:
        # What is named has to be there: a dimension as text, a metric as a number.
        for dimension in sum(directive["Dimensions"], []):
            assert isinstance(document[dimension], str) and 0 < len(document[dimension]) <= 1024
        for metric in directive["Metrics"]:
            assert isinstance(document[metric["Name"]], (int, float))
    count += 1
print(count)
