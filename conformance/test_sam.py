"""The stack that our SAM transform makes of a template is the one that AWS's translator makes of it."""

import copy
import json
import os
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from conftest import REGION

translator = pytest.importorskip("samtranslator.translator.transform", reason="aws-sam-translator is not installed")

TEMPLATES = sorted((Path(__file__).parent / "sam").glob("*.yaml"))


def sorted_lists(value):
    """The order of lists (policies' statements, DependsOn) says nothing here."""
    if isinstance(value, dict):
        return {key: sorted_lists(member) for key, member in value.items()}
    if isinstance(value, list):
        return sorted((sorted_lists(member) for member in value), key=lambda member: json.dumps(member, sort_keys=True))
    return value


def expected(text, monkeypatch):
    from samtranslator.internal.managed_policies import get_bundled_managed_policy_map
    from samtranslator.yaml_helper import yaml_parse

    monkeypatch.setitem(os.environ, "AWS_DEFAULT_REGION", REGION)
    loader = MagicMock()
    loader.load.return_value = get_bundled_managed_policy_map("aws")
    return translator.transform(copy.deepcopy(yaml_parse(text)), {}, loader)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_as_aws_translates_it(client, unique, monkeypatch, path):
    stacks, name, text = client("cloudformation"), unique("sam"), path.read_text()
    stacks.create_change_set(
        StackName=name,
        ChangeSetName="one",
        ChangeSetType="CREATE",
        TemplateBody=text,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    change_set = {"Status": "CREATE_PENDING"}
    while change_set["Status"] in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
        time.sleep(0.1)
        change_set = stacks.describe_change_set(StackName=name, ChangeSetName="one")
    if "Unrecognized resource types" in change_set.get("StatusReason", ""):
        pytest.skip(change_set["StatusReason"])
    assert change_set["Status"] == "CREATE_COMPLETE", change_set
    found = stacks.get_template(StackName=name, ChangeSetName="one", TemplateStage="Processed")["TemplateBody"]
    found = json.loads(found) if isinstance(found, str) else json.loads(json.dumps(found))
    wanted = json.loads(json.dumps(expected(text, monkeypatch)))
    assert sorted_lists(found) == sorted_lists(wanted)
    stacks.delete_stack(StackName=name)
