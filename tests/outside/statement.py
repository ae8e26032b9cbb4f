"""An in-toto statement in its envelope, judged by securesystemslib and in-toto-attestation.

usage: statement.py ENVELOPE PUBLIC_KEY.pem|ssh.pub KEY_ID
"""

import json
import pathlib
import sys

from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key
from google.protobuf.json_format import Parse
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

text, key = pathlib.Path(sys.argv[1]).read_text(), pathlib.Path(sys.argv[2]).read_bytes()
load = load_ssh_public_key if key.startswith((b"ssh-", b"ecdsa-")) else load_pem_public_key
public = SSlibKey.from_crypto(load(key), keyid=sys.argv[3])
envelope = Envelope.from_dict(json.loads(text))
assert envelope.payload_type == "application/vnd.in-toto+json"
assert list(envelope.verify([public], 1)) == [sys.argv[3]]
changed = json.loads(text)
envelope.payload = envelope.payload.replace(b"PASSED", b"FAILED") + b" "
try:
    envelope.verify([public], 1)
except Exception:
    pass
else:
    raise AssertionError("a changed payload verifies")
payload = json.loads(__import__("base64").b64decode(changed["payload"]))
message = Parse(json.dumps(payload), StatementMessage())
Statement.copy_from_pb(message).validate()
assert payload["subject"] and payload["predicate"]["verificationResult"] in ("PASSED", "FAILED")
print(len(payload["subject"]), payload["predicate"]["verificationResult"])
