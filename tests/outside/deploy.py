"""What lies in deploy/, each file held against a reader of its own. usage: deploy.py DEPLOY"""
import json
import pathlib
import subprocess
import sys

import hcl2
import yaml

deploy = pathlib.Path(sys.argv[1])
tools = pathlib.Path(sys.executable).parent

files = sorted((deploy / "kubernetes").glob("*.yaml"))
subprocess.run([tools / "kubernetes-validate", "--strict", *files], check=True)
jobs = {file.stem: yaml.safe_load(file.read_text())["spec"] for file in files if file.stem != "service-accounts"}
jobs["cronjob"] = jobs["cronjob"]["jobTemplate"]["spec"]
pods = {name: job["template"]["spec"] for name, job in jobs.items()}
containers = {name: pod["containers"][0] for name, pod in pods.items()}
for name, pod in pods.items():
    # They differ in what they run, and in what it may take.
    fixed = lambda job, container: ({**job, "containers": [], "serviceAccountName": "", "volumes": [volume["name"] for volume in job["volumes"]]}, {**container, "args": [], "env": [], "resources": {}})
    assert fixed(pod, containers[name]) == fixed(pods["cronjob"], containers["cronjob"]), name
    assert pod["securityContext"]["runAsNonRoot"] and containers[name]["securityContext"]["readOnlyRootFilesystem"]
# What is not tried again: a wrong command line, and a verdict.
final = {name: rule["onExitCodes"]["values"] for name, job in jobs.items() for rule in job.get("podFailurePolicy", {}).get("rules", []) if rule["action"] == "FailJob"}
assert final == {"plan-job": [2], "shards-job": [2], "merge-job": [1, 2, 3]}, final
accounts = {account["metadata"]["name"] for account in yaml.safe_load_all((deploy / "kubernetes/service-accounts.yaml").read_text())}
assert accounts == {pod["serviceAccountName"] for name, pod in pods.items() if name != "cronjob"}

template = deploy / "cloudformation/role.yaml"
subprocess.run([tools / "cfn-lint", template, deploy / "batch/batch.yaml"], check=True)

# Both roles allow the same.
class Template(yaml.SafeLoader):
    pass

def construct(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else loader.construct_mapping(node)

Template.add_multi_constructor("!", construct)
resources = yaml.load(template.read_text(), Template)["Resources"]
policies = [resources["Role"]["Properties"]["Policies"][0]["PolicyDocument"], resources["Topic"]["Properties"]["PolicyDocument"]]
as_list = lambda value: value if isinstance(value, list) else [value]
cloudformation = {statement["Sid"]: sorted(as_list(statement["Action"])) for policy in policies for statement in policy["Statement"]}

document = hcl2.loads((deploy / "terraform/main.tf").read_text())
plain = lambda text: text.strip('"')
terraform = {}
for data in document["data"]:
    for kind, named in data.items():
        for name, body in named.items() if isinstance(named, dict) else []:
            for statement in body.get("statement", []):
                if "sid" in statement:
                    terraform[plain(statement["sid"])] = sorted(map(plain, statement["actions"]))
assert terraform == cloudformation, (terraform, cloudformation)
allowed = {action for actions in terraform.values() for action in actions}
assert not any("*" in action for action in allowed)
# What it may write is its checkpoint alone.
assert [sid for sid, actions in terraform.items() if any("Put" in action for action in actions)] == ["KeepTheCheckpoint"]

# Both files for AWS Batch define the same jobs, and roles that allow the same.
resources = yaml.load((deploy / "batch/batch.yaml").read_text(), Template)["Resources"]
statements = lambda document: {statement["Sid"]: sorted(as_list(statement["Action"])) for statement in document["Statement"]}
trail = {**statements(resources["ReadTheTrail"]["Properties"]["PolicyDocument"]), **statements(resources["DecryptTheTrail"]["Properties"]["PolicyDocument"])}
cloudformation = {}
for role, shared in {"plan": trail, "shard": trail, "merge": trail, "execution": {}}.items():
    properties = resources[f"{role.capitalize()}Role"]["Properties"]
    assert bool(properties.get("ManagedPolicyArns")) == bool(shared)
    cloudformation[role] = {**shared, **statements(properties["Policies"][0]["PolicyDocument"])}

document = hcl2.loads((deploy / "batch/batch.tf").read_text())
named = {kind: {} for kind in ("data", "resource")}
for section, all_of_it in named.items():
    for block in document[section]:
        for kind, bodies in block.items():
            for name, body in bodies.items() if isinstance(bodies, dict) else []:
                all_of_it[plain(kind), plain(name)] = body
def allowed_by(name):
    body = named["data"]["aws_iam_policy_document", name]
    blocks = body.get("statement", []) + [content for dynamic in body.get("dynamic", []) for content in dynamic['"statement"']["content"]]
    found = {plain(block["sid"]): sorted(map(plain, block["actions"])) for block in blocks}
    return {**(allowed_by("trail") if body.get("source_policy_documents") else {}), **found}
terraform = {name: allowed_by(name) for name in cloudformation}
assert terraform == cloudformation, (terraform, cloudformation)
every = {action for role in terraform.values() for actions in role.values() for action in actions}
assert not any("*" in action for action in every)
# Each step writes to one place of its own, and only the plan asks CloudTrail.
assert {role: [sid for sid, actions in sids.items() if "s3:PutObject" in actions] for role, sids in terraform.items()} == {
    "plan": ["WriteThePlan"], "shard": ["WriteTheResults"], "merge": ["WriteTheReports"], "execution": []}
assert [role for role, sids in terraform.items() if any(action.startswith("cloudtrail:") for actions in sids.values() for action in actions)] == ["plan"]

definition = named["resource"]["aws_batch_job_definition", "ctverify"]
retry = definition["retry_strategy"][0]
camel = lambda key: "".join(part.capitalize() for part in key.split("_"))
rules = [{camel(key): plain(value) for key, value in rule.items() if not key.startswith("__")} for rule in retry["evaluate_on_exit"]]
locals_ = next(block["jobs"] for block in document["locals"] if "jobs" in block)
batch = []
for step in ("plan", "shard", "merge"):
    properties = resources[f"{step.capitalize()}Job"]["Properties"]
    container, other = properties["ContainerProperties"], locals_[step]
    assert container["Command"] == list(map(plain, other["command"])), step
    assert properties["RetryStrategy"] == {"Attempts": retry["attempts"], "EvaluateOnExit": rules}, (properties["RetryStrategy"], rules)
    assert properties["Timeout"]["AttemptDurationSeconds"] == other["timeout"]
    assert {"Type": "MEMORY", "Value": plain(other["memory"])} in container["ResourceRequirements"]
    assert container["ReadonlyRootFilesystem"] and container["User"] == "65532:65532"
    assert container["MountPoints"] == [{"SourceVolume": "tmp", "ContainerPath": "/tmp"}]
    # Every placeholder has a default.
    placeholders = {word.removeprefix("Ref::") for word in container["Command"] if word.startswith("Ref::")}
    assert placeholders == set(properties["Parameters"]) == {plain(name) for name in other["parameters"] if not name.startswith("__")}, step
    batch += [word for word in container["Command"] if word.startswith("--")] + [entry["Name"] for entry in container["Environment"]]
assert [rule["OnExitCode"] for rule in rules if "OnExitCode" in rule] == ["130", "4"] and rules[-1] == {"OnReason": "*", "Action": "EXIT"}

workflow = yaml.safe_load((deploy / "github/ctverify.yml").read_text())
assert set(workflow) == {"name", True, "permissions", "concurrency", "jobs"}
flags = [step["run"] for step in workflow["jobs"]["verify"]["steps"] if "run" in step]
flags += batch
for container in containers.values():
    flags += container["args"] + [entry["name"] for entry in container["env"]]
flags += list(workflow["jobs"]["verify"]["env"])
print(json.dumps(flags))
