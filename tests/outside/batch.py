"""The script for AWS Batch with the real AWS CLI, against a Batch and an S3 on loopback that answer as AWS documents it.

usage: batch.py run.sh AWS
"""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

script, aws = map(os.path.abspath, sys.argv[1:3])
STATE = "s3://my-audit-state/ctverify"


class Account:
    """An account with a plan of so many units, whose jobs end with a status and an exit code, by step."""

    def __init__(self, units, fate):
        self.units, self.fate, self.jobs, self.polls = units, fate, [], {}

    def submit(self, request):
        step = request["jobDefinition"].rsplit("-", 1)[1]
        self.jobs.append((step, request))
        return {"jobName": request["jobName"], "jobId": f"id-{step}"}

    def describe(self, request):
        step = request["jobs"][0].removeprefix("id-")
        self.polls[step] = self.polls.get(step, 0) + 1
        status, code = self.fate.get(step, ("SUCCEEDED", 0))
        container = {"exitCode": code, "logStreamName": f"{step}/x"}
        job = {"jobId": request["jobs"][0], "jobName": "x", "jobQueue": "q", "startedAt": 1, "jobDefinition": "d", "container": container}
        job |= {"status": status if self.polls[step] > 1 else "RUNNING", "statusReason": "Essential container in task exited"}
        if step == "shard":
            job["arrayProperties"] = {"size": 9, "statusSummary": {"SUCCEEDED": self.polls[step]}}
        return {"jobs": [job]}

    def list(self, request):
        assert request["jobStatus"] == "FAILED" and request["arrayJobId"] == "id-shard", request
        child = {"jobName": "x", "statusReason": "Essential container in task exited", "container": {"exitCode": self.fate["shard"][1]}}
        return {"jobSummaryList": [child | {"jobId": f"id-shard:{index}", "arrayProperties": {"index": index}} for index in range(7)]}


def serve(account):
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def answer(self, status, body):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), "ETag": '"x"', "Last-Modified": "Sat, 28 Nov 2026 00:00:00 GMT"}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            is_units = re.search(r"/ctverify/plans/[A-Za-z0-9_-]+/units\.jsonl$", self.path)
            self.answer(200 if is_units else 404, b"{}\n" * account.units if is_units else b"")

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            calls = {"/v1/submitjob": account.submit, "/v1/describejobs": account.describe, "/v1/listjobs": account.list}
            self.answer(200, json.dumps(calls[self.path](request)).encode())

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def run(account, *arguments):
    server = serve(account)
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "aws").symlink_to(aws)
        environment = {
            "PATH": f"{folder}:/usr/bin:/bin", "HOME": folder, "CTVERIFY_POLL_SECONDS": "0",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
        }
        done = subprocess.run(["bash", script, *arguments], env=environment, capture_output=True, text=True, timeout=120)
    server.shutdown()
    return done


# All three steps.
account = Account(5, {})
done = run(account, "-s", "30d", "-e", "2026-11-01", STATE + "/")
assert done.returncode == 0, done
name = re.search(r"run (\S+):", done.stderr)[1]
assert re.fullmatch(rf"({STATE}/reports/{name}/\d+T\d+Z/report\.(txt|html)\n)" + "{2}", done.stdout), done
assert [step for step, _ in account.jobs] == ["plan", "shard", "merge"]
plan, shard, merge = (request for _, request in account.jobs)
assert plan["parameters"] == {"start": "30d", "plan": f"{STATE}/plans/{name}"}
assert plan["containerOverrides"]["environment"] == [{"name": "CTVERIFY_END", "value": "2026-11-01"}]
assert shard["arrayProperties"] == {"size": 5}
places = {"plan": f"{STATE}/plans/{name}/manifest.json", "results": f"{STATE}/results/{name}"}
assert shard["parameters"] == places | {"each": "1"}
assert merge["dependsOn"] == [{"jobId": "id-shard"}] and merge["jobDefinition"] == "ctverify-merge"

# A verdict is passed on, with the reports. A single unit is no array, and many units share a child.
account = Account(1, {"merge": ("FAILED", 1)})
done = run(account, STATE)
assert done.returncode == 1 and "report.html" in done.stdout, done
assert "arrayProperties" not in dict(account.jobs)["shard"]
account = Account(25_000, {})
assert run(account, "-r", "q1", STATE).returncode == 0
shard = dict(account.jobs)["shard"]
assert (shard["arrayProperties"]["size"], shard["parameters"]["each"]) == (8334, "3"), shard

# Shards that fail end it, and the way to go on is told.
done = run(Account(5, {"shard": ("FAILED", 4)}), STATE)
assert done.returncode == 4 and not done.stdout and " -r " in done.stderr and done.stderr.count("Essential") == 5, done
# A wrong command line asks nothing of AWS.
account = Account(5, {})
assert run(account, "-u", "0", STATE).returncode == 2 and not account.jobs
