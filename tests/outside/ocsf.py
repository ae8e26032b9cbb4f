"""Each line of a file is held against OCSF's own schema for its class. Prints how many there are."""
import json
import sys

import jsonschema
import ocsf_json_schema

count = 0
schemas = {}
for line in open(sys.argv[1], encoding="utf-8"):
    event = json.loads(line)
    version = event["metadata"]["version"]
    if version not in schemas:
        schema = ocsf_json_schema.OcsfJsonSchemaEmbedded(ocsf_json_schema.get_ocsf_schema(version))
        name = schema.lookup_class_name_from_uid(event["class_uid"])
        schemas[version] = jsonschema.Draft202012Validator(schema.get_class_schema(name, []))
    schemas[version].validate(event)
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    count += 1
print(count)
