"""GET /openapi.json: the OpenAPI document (version 3.1), made from what the routes declare and the documents' types."""

import functools
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app, request

from brain_tumor.contract import RESEARCH_NOTICE
from gateway import VERSION
from gateway.http.documents import REFERENCE, respond
from gateway.http.operations import Content, Operation, Reply, declared
from gateway.http.problem import LATER
from gateway.http.routes import described_operations

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")  # of a rule of Flask
_KEY = "key"
_OTHERWISE = "Another error."
_TITLE = "Brain Tumor Classification"


def _header(meaning: str, kind: str) -> dict[str, Any]:
    return {"description": meaning, "schema": {"type": kind}}


_REQUEST_ID = _header("The request id.", "string")
_LATER = {"Retry-After": _header("Seconds after which to try again.", "integer")}
_CHALLENGE = {"WWW-Authenticate": _header("What is wrong with the key (RFC 6750).", "string")}
# Headers that go with a status.
_HEADERS: Mapping[int, Mapping[str, Any]] = {
    **dict.fromkeys(LATER, _LATER),
    **dict.fromkeys((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN), _CHALLENGE),
}


def openapi_routes() -> Blueprint:
    """Make the route of the document."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/openapi.json")
    @declared(
        Operation(
            "This document",
            "Service",
            {200: Reply("The document, for tools that read OpenAPI.", (Content({"type": "object"}),))},
        )
    )
    def document() -> Response:
        return respond({**description(), "servers": [{"url": request.script_root or "/"}]})

    @functools.cache
    def description() -> dict[str, Any]:
        return openapi_document(current_app)

    return routes


def openapi_document(app: Flask) -> dict[str, Any]:
    """Describe the API of an application with all its routes; which server it has, who responds knows."""
    declared_operations = list(described_operations(app))
    components = _components(operation for _, _, operation in declared_operations)
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, operation in declared_operations:
        paths.setdefault(_ARGUMENT.sub(r"{\1}", rule), {})[method.lower()] = _described(operation, rule)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": _TITLE,
            "version": VERSION,
            "summary": "Which of a model's classes a brain MRI image shows.",
            "description": RESEARCH_NOTICE,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {_KEY: {"type": "http", "scheme": "bearer", "description": "Where keys are asked for."}},
        },
    }


def _components(declared_operations: Iterable[Operation]) -> dict[str, Any]:
    """The schemas that have names."""
    types: dict[type[msgspec.Struct], None] = {}  # a set that keeps its order
    named: dict[str, Any] = {}
    for operation in declared_operations:
        of_replies = [content for reply in operation.replies.values() for content in reply.contents]
        for content in (*operation.bodies, *of_replies, operation.error):
            if isinstance(content.schema, type):
                types[content.schema] = None
            elif name := content.schema.get("title"):
                named[name] = content.schema
    return {**named, **_plain(msgspec.json.schema_components(types, ref_template=REFERENCE)[1])}


def _plain(node: Any) -> Any:
    """A schema without "no further items", which maxItems says too and some readers do not know.

    And without lists of attributes in descriptions: each attribute has its own.
    """
    if isinstance(node, str):
        return node.partition("\n\nAttributes:")[0]
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if (key, value) != ("items", False)}
    return [_plain(value) for value in node] if isinstance(node, list) else node


def _described(operation: Operation, rule: str) -> dict[str, Any]:
    arguments = _ARGUMENT.findall(rule)
    parameters = [one for one in operation.parameters if one.place != "path" or one.name in arguments]
    described: dict[str, Any] = {
        "summary": operation.summary,
        "tags": [operation.tag],
        # Of two routes to one function, the one with fewer arguments has the plain name.
        "operationId": "_".join([*operation.summary.lower().split(), *(arguments[1:] and ["of", *arguments[1:]])]),
        "responses": {
            str(int(status)): _reply(reply, _HEADERS.get(status, {}))
            for status, reply in sorted(operation.replies.items())
        },
    }
    described["responses"]["default"] = _reply(Reply(_OTHERWISE, (operation.error,)))
    if operation.description:
        described["description"] = operation.description
    if parameters:
        described["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.place,
                "description": parameter.meaning,
                "required": parameter.place == "path",
                "schema": msgspec.json.schema(parameter.type),
            }
            for parameter in parameters
        ]
    if operation.scope:
        described["security"] = [{}, {_KEY: []}]
    if operation.bodies:
        described["requestBody"] = {"required": True, "content": _contents(operation.bodies)}
    return described


def _reply(reply: Reply, headers: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": reply.meaning,
        "headers": {
            "X-Request-ID": _REQUEST_ID,
            **headers,
            **{name: _header(meaning, "integer") for name, meaning in reply.headers.items()},
        },
    }
    if reply.contents:
        described["content"] = _contents(reply.contents)
    return described


def _contents(contents: Iterable[Content]) -> dict[str, Any]:
    """By media type; several schemas of one media type are alternatives."""
    by_type: dict[str, list[Any]] = {}
    for content in contents:
        schema = content.schema
        name = schema.__name__ if isinstance(schema, type) else schema.get("title")
        by_type.setdefault(content.media_type, []).append({"$ref": REFERENCE.format(name=name)} if name else schema)
    return {
        media_type: {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}
        for media_type, schemas in by_type.items()
    }
