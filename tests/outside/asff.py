"""Each line of a file is held against botocore's model of BatchImportFindings, and against the limits that the user guide names.
Prints how many findings there are."""
import json
import re
import sys

import awscli.botocore.loaders
import awscli.botocore.model
import awscli.botocore.validate

model = awscli.botocore.loaders.Loader().load_service_model("securityhub", "service-2")
shape = awscli.botocore.model.ServiceModel(model).operation_model("BatchImportFindings").input_shape
labels = set(model["shapes"]["SeverityLabel"]["enum"])
states = set(model["shapes"]["RecordState"]["enum"])
count = 0
for line in open(sys.argv[1], encoding="utf-8"):
    findings = json.loads(line)
    report = awscli.botocore.validate.ParamValidator().validate({"Findings": findings}, shape)
    assert not report.has_errors(), report.generate_report()
    assert 1 <= len(findings) <= 100
    for finding in findings:
        assert len(json.dumps(finding).encode()) <= 240 * 1024
        assert len(finding["Title"]) <= 256 and len(finding["Description"]) <= 1024
        assert len(finding["Id"]) <= 512 and len(finding["GeneratorId"]) <= 512
        assert re.fullmatch(r"\d{12}", finding["AwsAccountId"])
        product = r"arn:aws(-\w+)*:securityhub:([\w-]+):(\d{12}):product/(\d{12})/default"
        match = re.fullmatch(product, finding["ProductArn"])
        assert match and match[3] == match[4] == finding["AwsAccountId"], finding["ProductArn"]
        assert finding["Severity"]["Label"] in labels and finding["RecordState"] in states
        for kind in finding["Types"]:
            namespaces = ["Software and Configuration Checks", "TTPs", "Effects", "Unusual Behaviors", "Sensitive Data Identifications"]
            assert kind.split("/")[0] in namespaces and len(kind.split("/")) <= 3
        for time in ["CreatedAt", "UpdatedAt"]:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", finding[time])
        assert finding["CreatedAt"] <= finding["UpdatedAt"]
        assert 1 <= len(finding["Resources"]) <= 32
        for resource in finding["Resources"]:
            assert len(resource["Id"]) <= 512 and resource["Partition"] in model["shapes"]["Partition"]["enum"]
        count += 1
print(count)
