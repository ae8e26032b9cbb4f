"""What lies in deploy/, each file held against a reader of its own. usage: deploy.py DEPLOY"""
import json
import pathlib
import subprocess
import sys

import hcl2
import yaml

deploy = pathlib.Path(sys.argv[1])
tools = pathlib.Path(sys.executable).parent

subprocess.run([tools / "kubernetes-validate", "--strict", deploy / "kubernetes/cronjob.yaml"], check=True)
pod = yaml.safe_load((deploy / "kubernetes/cronjob.yaml").read_text())["spec"]["jobTemplate"]["spec"]["template"]["spec"]
container = pod["containers"][0]
assert pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]

template = deploy / "cloudformation/role.yaml"
subprocess.run([tools / "cfn-lint", template], check=True)

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

workflow = yaml.safe_load((deploy / "github/ctverify.yml").read_text())
assert set(workflow) == {"name", True, "permissions", "concurrency", "jobs"}
flags = [step["run"] for step in workflow["jobs"]["verify"]["steps"] if "run" in step]
flags += container["args"] + [entry["name"] for entry in container["env"]]
flags += list(workflow["jobs"]["verify"]["env"])
print(json.dumps(flags))
