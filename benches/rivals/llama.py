"""Reads prompts of so many tokens and writes so many, with llama.cpp on its own server's engine.

Arguments: the GGUF file, and how many threads. In: a line of JSON for each task, {"prompt": tokens, "completion":
tokens}. Out: a line of JSON with the tokens a second of both, as llama.cpp counts them.
"""

import json
import sys

import xllamacpp

VOCABULARY = 49_152


def load(path: str, threads: int) -> xllamacpp.Server:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 8_192
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(parameters)


def run(server: xllamacpp.Server, task: dict) -> dict:
    # Which tokens they are does not matter for the time; the first 17 of the vocabulary are control tokens.
    prompt = [17 + number * 7_919 % (VOCABULARY - 17) for number in range(task["prompt"])]
    answer = server.handle_completions(
        {
            "prompt": prompt,
            "n_predict": task["completion"],
            "ignore_eos": True,
            "cache_prompt": False,
            "temperature": 0,
        }
    )
    timings = answer["timings"]
    assert timings["prompt_n"] == task["prompt"] and timings["predicted_n"] == task["completion"], timings
    return {"prefill": timings["prompt_per_second"], "decode": timings["predicted_per_second"]}


def main() -> None:
    server = load(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        print(json.dumps(run(server, json.loads(line))), flush=True)


main()
