"""Reads YAML as JSON, and holds it against the schemas of Kubernetes or of Compose.

Arguments: none, `kubernetes VERSION`, or `compose`. Standard input: YAML, any number of documents.
Standard output: {"documents": [...], "faults": [...]}.
"""

import json
import sys

import jsonschema
import kubernetes_validate
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema


class UniqueKeys(yaml.SafeLoader):
    """Of two equal keys PyYAML takes the last without a word; kubectl and Compose refuse both."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {', '.join(sorted(twice))}", node.start_mark)
        return super().construct_mapping(node, deep)


def of_kubernetes(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError, KeyError) as error:
        yield f"{document.get('apiVersion')} {document.get('kind')}: {error}"


def of_compose(document):
    validator = jsonschema.Draft202012Validator(get_builtin_schema("vendor.compose-spec"))
    for error in validator.iter_errors(document):
        yield f"{error.json_path}: {error.message}"


SCHEMAS = {"kubernetes": of_kubernetes, "compose": of_compose}
documents = list(yaml.load_all(sys.stdin, UniqueKeys))
faults = [fault for document in documents for fault in SCHEMAS[sys.argv[1]](document, *sys.argv[2:])] if sys.argv[1:] else []
json.dump({"documents": documents, "faults": faults}, sys.stdout)
