"""Teaches Schemathesis the one media type of the gateway that it does not know: a document a line."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    return (json.dumps(value) + "\n").encode()
