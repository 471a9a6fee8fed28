"""Drives a twin with the official OpenAI client. Usage: openai_client.py BASE_URL MODEL QUESTION

Writes one JSON object of what the client made of the answers. What goes wrong is an exception.
"""

import json
import sys

from openai import BadRequestError, NotFoundError, OpenAI

base_url, model, question = sys.argv[1:]
client = OpenAI(base_url=base_url + "/v1", api_key="none", max_retries=0, timeout=120)
messages = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": question}]


def whole():
    completion = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=8)
    choice = completion.choices[0]
    return {
        "id": completion.id,
        "object": completion.object,
        "model": completion.model,
        "role": choice.message.role,
        "text": choice.message.content,
        "finish_reason": choice.finish_reason,
        "usage": completion.usage.model_dump(),
        # A field that is not the API's own reaches the program all the same.
        "citations": len(completion.model_extra["citations"]),
    }


def streamed():
    stream = client.chat.completions.create(
        model=model,
        messages=messages,
        temperature=0,
        max_tokens=8,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    with_choice = [chunk for chunk in chunks if chunk.choices]
    return {
        "ids": sorted({chunk.id for chunk in chunks}),
        "objects": sorted({chunk.object for chunk in chunks}),
        "role": with_choice[0].choices[0].delta.role,
        "text": "".join(chunk.choices[0].delta.content or "" for chunk in with_choice),
        "finish_reasons": [chunk.choices[0].finish_reason for chunk in with_choice if chunk.choices[0].finish_reason],
        "usage": chunks[-1].usage.model_dump(),
        "citations": len(with_choice[-1].model_extra["citations"]),
    }


def cancelled():
    """Reads the first chunk, which comes when the search is done and before the model's text, and goes away."""
    stream = client.chat.completions.create(model=model, messages=messages, stream=True)
    first = next(iter(stream))
    stream.close()
    return {"first_text": first.choices[0].delta.content}


def refused():
    told = {}
    try:
        client.chat.completions.create(model=model, messages=messages, temperature=7)
    except BadRequestError as error:
        told["temperature"] = {"param": error.param, "type": error.type}
    try:
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        client.chat.completions.create(model=model, messages=messages, tools=[tool])
    except BadRequestError as error:
        told["tools"] = {"param": error.param, "message": error.body["message"]}
    try:
        client.chat.completions.create(model="twin/nobody-at-all", messages=messages)
    except NotFoundError as error:
        told["model"] = {"code": error.code}
    return told


def embeddings():
    """The client asks for bytes unless it is told otherwise, and makes numbers of them."""
    texts = [question, "A smoker calms the bees."]
    read = client.embeddings.create(model=model, input=texts)
    as_numbers = client.embeddings.create(model=model, input=texts[0], encoding_format="float", dimensions=384)
    vector = read.data[0].embedding
    told = {
        "lengths": [len(one.embedding) for one in read.data],
        "indexes": [one.index for one in read.data],
        "square": sum(number * number for number in vector),
        "same": max(abs(a - b) for a, b in zip(vector, as_numbers.data[0].embedding)) < 1e-4,
        "by_name": client.embeddings.create(model=read.model, input="x").model == read.model,
        "usage": read.usage.model_dump(),
    }
    for name, wrong in [
        ("window", {"input": "word " * 5_000}),
        ("dimensions", {"input": "x", "dimensions": 7}),
        ("tokens", {"input": [1, 2, 3]}),
        ("model", {"input": "x", "model": "text-embedding-3-small"}),
    ]:
        try:
            client.embeddings.create(**{"model": model, **wrong})
        except BadRequestError as error:
            told[name] = error.body["message"]
    return told


def models():
    return [listed.id for listed in client.models.list()]


def model_of():
    return client.models.retrieve(model).id


cases = [models, model_of, whole, streamed, embeddings, cancelled, refused]
json.dump({case.__name__: case() for case in cases}, sys.stdout)
