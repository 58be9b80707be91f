"""Writes the cases that crates/lang/sam/tests/oracle.rs compares our SAM transform with.

    pip install aws-sam-translator pyyaml
    python conformance/sam_oracle.py CASES [FOLDER OF TEMPLATES]...
    SERENO_SAM_CASES=CASES cargo test -p sereno-sam --test oracle -- --nocapture

Each template of conformance/sam/ and of the folders given (for example tests/translator/input of the
translator's own sources) goes through AWS's translator, once for each of three partitions. What the
translator would ask of AWS is answered here.
"""

import copy
import json
import sys
from pathlib import Path
from unittest.mock import MagicMock, patch

import samtranslator.plugins.application.serverless_app_plugin as applications
from samtranslator.internal.managed_policies import get_bundled_managed_policy_map
from samtranslator.model.exceptions import InvalidDocumentException, InvalidResourceException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

PARTITIONS = {"aws": "ap-southeast-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
PARAMETERS = {"param1": "value1", "param2": "value2"}


def policies(partition):
    service_role = f"arn:{partition}:iam::aws:policy/service-role/"
    return {
        "AWSLambdaBasicExecutionRole": service_role + "AWSLambdaBasicExecutionRole",
        "AWSLambdaRole": service_role + "AWSLambdaRole",
        "AmazonDynamoDBFullAccess": f"arn:{partition}:iam::aws:policy/AmazonDynamoDBFullAccess",
        "AmazonDynamoDBReadOnlyAccess": f"arn:{partition}:iam::aws:policy/AmazonDynamoDBReadOnlyAccess",
    } | (get_bundled_managed_policy_map(partition) or {})


def application(self, call, logical_id, application_id, *rest):
    if application_id in ("no-access", "non-existent", "invalid-semver"):
        raise InvalidResourceException(logical_id, f"Cannot access application: {application_id}.")
    return {
        "ApplicationId": application_id,
        "Status": "ACTIVE",
        "TemplateId": "id-xx-xx",
        "TemplateUrl": "https://awsserverlessrepo-changesets-xxx.s3.amazonaws.com/signed-url",
    }


def run(template, partition, region):
    loader = MagicMock()
    loader.load.return_value = policies(partition)
    arns = "samtranslator.translator.arn_generator."
    with (
        patch("boto3.session.Session.region_name", region),
        patch(arns + "_get_region_from_session", lambda: region),
        patch(arns + "_region_to_partition", lambda _: partition),
        patch("samtranslator.model.apigateway.time.time", lambda: 0),
        patch.object(applications.ServerlessAppPlugin, "_sar_service_call", application),
    ):
        try:
            return {"ok": transform(copy.deepcopy(template), dict(PARAMETERS), loader)}
        except InvalidDocumentException as error:
            return {"error": error.message, "causes": [cause.message for cause in error.causes]}


def main():
    target, *folders = map(Path, sys.argv[1:])
    (target / "cases").mkdir(parents=True, exist_ok=True)
    known = {partition: policies(partition) for partition in PARTITIONS}
    (target / "managed_policies.json").write_text(json.dumps(known))
    for folder in [Path(__file__).parent / "sam", *folders]:
        for path in sorted(folder.glob("*.yaml")):
            template = json.loads(json.dumps(yaml_parse(path.read_text())))
            runs = [
                run(template, partition, region) | {"partition": partition, "region": region}
                for partition, region in PARTITIONS.items()
            ]
            case = {"name": path.stem, "input": template, "runs": runs}
            (target / "cases" / f"{path.stem}.json").write_text(json.dumps(case))


if __name__ == "__main__":
    main()
