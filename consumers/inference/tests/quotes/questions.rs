//! Questions that this repository's own documents answer, each with words of the sentence, item, row or command that does;
//! of several where the documents say it in several places. They were written from reading the documents, before anything
//! was quoted. Weights were chosen by those of `DOCS` and `TOP`; the others were measured once, with the weights as they are.

/// A question, and words of each text that answers it.
pub type Question = (&'static str, &'static [&'static str]);

/// Over the files of `docs`.
pub const DOCS: &[Question] = &[
    // docs/events.md
    ("How long does the embedded log keep tombstones?", &["the embedded log keeps a tombstone for a day"]),
    ("What happens when a file is renamed?", &["A file that is renamed is another document"]),
    ("How is the id of a document made?", &["A document id is a UUIDv5 of four things"]),
    (
        "How is it made sure that a changed document is published only once?",
        &["marks it as published only after the log has acknowledged it", "If they are equal, nothing is written"],
    ),
    ("Which process publishes what was collected?", &["the one that holds the lease `outbox`"]),
    ("What is the live revision of a document?", &["That revision is the live one"]),
    (
        "How does a payload travel that is too large for the log?",
        &["named by its SHA-256. The record carries", "The record carries a short reference as its value"],
    ),
    ("What if the artifact of a large value is lost for good?", &["leaves the reference as the payload"]),
    ("What happens when a dead letter is replayed?", &["A replay appends the event to its topic again"]),
    ("May the type of a field change within a major version?", &["A field keeps its type"]),
    ("How long are dead letters kept?", &["Dead letters are kept for 30 days", "as the event | 30 days"]),
    ("Which hash puts a key into a partition?", &["murmur2"]),
    (
        "How does a gateway tell two executions of one query apart?",
        &["The two executions have different `attempt` ids"],
    ),
    ("Why is the models topic read without a group?", &["Every inference process follows every deployment"]),
    ("What happens to a revision that the cleaner rejects?", &["A revision that the cleaner rejects"]),
    // docs/operations.md
    ("What replaces MongoDB in the embedded mode?", &["a warehouse in tables of the same file"]),
    (
        "Can the data folder be on a network share?",
        &["It must be on a local file system", "does not work over a network share"],
    ),
    ("Where are the language models stored?", &["`make models` puts them into the cache folder"]),
    ("Which port does the twin listen on?", &["by default `127.0.0.1:8080`"]),
    ("What does a second SIGTERM do?", &["A second signal ends it"]),
    ("Is anything lost by a power cut?", &["a power cut loses nothing either"]),
    ("What does exit code 75 mean?", &["it may succeed later: overloaded"]),
    (
        "How do I make a backup of a running twin?",
        &["SQLite makes a consistent copy while the twin runs", "VACUUM INTO"],
    ),
    ("How is a backup restored?", &["To restore, stop the twin"]),
    ("Can I go back to an earlier version after an upgrade?", &["going back needs the backup"]),
    ("How can I change the embedding model?", &["twin reindex"]),
    (
        "What happens to an event that a stage can not process?",
        &["An event that can never succeed is dead-lettered", "it goes to the dead-letter topic"],
    ),
    ("How do I replay all dead letters?", &["twin dlq replay --all"]),
    ("Why would the cleaner reject a page?", &["The cleaner rejects what is not worth searching"]),
    ("What if a folder is emptied by mistake?", &["must not empty the index", "A sync deletes at most"]),
    ("How long may the look at a new source take?", &["for 45 s at most"]),
    ("Are the secrets of sources encrypted?", &["not encrypted"]),
    ("When is a zip archive refused?", &["archive is refused as a whole"]),
    ("What does the twin do while the disk is full?", &["Stages try again while there is no space"]),
    ("Which artifacts does garbage collection remove?", &["if it was stored more than a week ago"]),
    ("What can I do about a damaged database?", &["Restore a backup. Without one", "Restore a backup."]),
    ("What happens if the clock is put back?", &["If the clock is put back by more than five minutes"]),
    (
        "How many questions are worked on at the same time?",
        &["`gateway.max_in_flight` questions are worked on at a time"],
    ),
    ("How many processes of a stage are useful?", &["A group has as many useful members as the topic has partitions"]),
    ("With which priority do training jobs run?", &["low priority (`nice 10`)"]),
    ("Why does the twin say that it does not know?", &["when too little speaks for an answer"]),
    ("Can two processes use one data folder?", &["With Kafka several processes may share it"]),
    ("What is not ready while the language model is loading?", &["the versions that are deployed, are loading"]),
    // docs/learning.md
    ("How large is the default model?", &["default model has 135 million parameters"]),
    ("Who approves a new model by default?", &["By default a person decides"]),
    ("How many samples does a dataset version need?", &["A version needs at least `datasets.build.min_samples`"]),
    ("What is left out of datasets?", &["Near duplicates, boilerplate, quotations of others"]),
    ("Which recipe of a sweep wins?", &["The recipe with the lowest loss on the validation split"]),
    ("Can a GGUF file be trained?", &["A GGUF file can be served and not trained"]),
    ("What is needed to build for a GPU?", &["It needs the CUDA toolkit to build"]),
    ("What does it mean that a deployment has failed?", &["The version did not load or said nothing"]),
    ("What is a preference sample made of?", &["`chosen`: the passage"]),
    ("How do I go back to the model before?", &["twin models rollback"]),
    // docs/api.md
    ("What does an error of the API look like?", &["Every error is a problem (RFC 9457"]),
    ("How do I read the next part of a list?", &["where the list goes on it has `next`"]),
    ("What happens when a client goes away?", &["stops the work on its question"]),
    ("With which status is an unknown field refused?", &["a field is missing, unknown, of a wrong type"]),
    ("How is a model version named?", &["a model version is `<author>-v<number>`"]),
    ("Can the page of a report run scripts?", &["`Content-Security-Policy`"]),
    ("How do I freeze a dataset version over the API?", &["asks for a version to be frozen now"]),
    // docs/guarantees.md, docs/metrics.md, docs/configuration.md
    ("Is a deleted document ever served again?", &["Nothing deleted, and no revision older"]),
    ("What becomes of documents when the process is killed?", &["ends up in the index as it was acknowledged"]),
    ("What does twin_stage_lag_events measure?", &["Offsets between what the stage's group has committed"]),
    ("Do counters survive a restart of the process?", &["Counters start at 0 with the process"]),
    ("Which metric counts deployments that were taken up?", &["twin_inference_switches_total"]),
    ("Which variable sets the partitions of a topic?", &["TWIN_LOG_PARTITIONS"]),
    ("What does embedder.batch_tokens mean?", &["Tokens of a batch, filling included"]),
    ("How long may a query take in all?", &["How long a query may take in all, milliseconds"]),
];

/// Over `README.md`, `ARCHITECTURE.md` and `CONTRIBUTING.md`.
pub const TOP: &[Question] = &[
    // README.md
    ("What do I need to run the demo?", &["Both need Linux on x86_64"]),
    ("How do I stop the demo?", &["`make demo-stop` stops it"]),
    ("How often are sources synced?", &["every hour if `--interval` says"]),
    (
        "What happens if I push a document with the same natural_key again?",
        &["The same `natural_key` again is a new revision"],
    ),
    ("Which licence does LLM Twin have?", &["LLM Twin itself is under Apache-2.0"]),
    (
        "Does the gateway have authentication?",
        &["The gateway has no authentication and no TLS", "there is no authentication and no TLS in the gateway"],
    ),
    ("Does the crawler read robots.txt?", &["The crawler does not read `robots.txt`"]),
    ("For which language are the default models made?", &["are made for English"]),
    ("How do I use an OpenAI-compatible endpoint?", &["endpoint = \"http://127.0.0.1:8000/v1\""]),
    ("How do I push a document with curl?", &["curl http://127.0.0.1:8080/v1/documents"]),
    ("Which embedding models can be used?", &["of a model whose vectors are the mean over its tokens"]),
    ("How large is the download of the models?", &["The models are 204 MB to fetch"]),
    // ARCHITECTURE.md
    ("Why are there no Kafka transactions?", &["Handlers are idempotent and fenced by revisions instead"]),
    ("How do leases work without deadlines?", &["Here it is a counter that the holder moves"]),
    (
        "Why does training run in child processes?",
        &["They take hours and gigabytes, and may crash", "A child has its own memory and priority"],
    ),
    ("Why is the trainer written without autograd?", &["candle's autograd drops gradients without a word"]),
    ("How does SQLite serve many writers?", &["has one thread that owns the writing connection"]),
    ("Why does an outbox publish the documents?", &["loses or invents an event when it dies between the two"]),
    ("What does a removed source leave behind?", &["a removed source keeps its generation"]),
    ("How does the gateway get the answers?", &["A gateway reads the one partition that its id falls on"]),
    ("What may the platform/registry decide?", &["the append is the only write that decides"]),
    ("Who may name a database's crate?", &["a database's or broker's crate is named in `backends/`"]),
    // CONTRIBUTING.md
    ("How are tests named?", &["The name of a test is a sentence about behaviour"]),
    ("May a test wait by sleeping?", &["No sleeping: wait for a condition"]),
    ("How do I add a metric?", &["Register it with the `MetricsRegistry`"]),
    ("Where do the versions of dependencies stand?", &["Versions of dependencies stand once"]),
    ("How many lines may a file have?", &["Past 400 lines it is two"]),
    ("What has to be done after changing an event's type?", &["cargo run --release -p twin-schemas --bin schemas"]),
];

/// Over the files of `docs`, not looked at while weights were chosen.
pub const DOCS_UNSEEN: &[Question] = &[
    (
        "What are the parts of an answer event?",
        &["The parts are told apart by", "`retrieved`: `passages` and `timings`"],
    ),
    ("Which header carries the trace context?", &["W3C trace context"]),
    ("How is the embedded log cleaned up?", &["The embedded log is cleaned every minute"]),
    ("Is a document deleted when its item leaves the feed?", &["An item that leaves a feed is not deleted for that"]),
    ("How do I upload a zip archive?", &["twin sources upload"]),
    ("Is the event log in a backup when Kafka is used?", &["Over Kafka the log is not in the copy"]),
    ("What happens to uploads when their source is removed?", &["then its uploads and secrets"]),
    ("Which exit code stands for a wrong configuration value?", &["64 | a configuration value"]),
    ("How much disk space does a model take?", &["half a gigabyte each with the default model"]),
    ("How long may an evaluation take?", &["Minutes of an evaluation's attempt"]),
    ("What does twin_gateway_queries_in_flight tell?", &["Queries that clients wait for now"]),
    ("Can a text in a document give the twin instructions?", &["No text in a document changes the form"]),
    ("How was embedding compared with fastembed?", &["**fastembed** has the same model file"]),
    (
        "How can a training job be kept from starting by itself?",
        &["keeps jobs from starting by themselves", "leaves the start to `twin train`"],
    ),
    ("What happens when a training job's process dies?", &["Its process was gone", "Times that a job is started"]),
    ("What is the order of the list of documents?", &["newest change first"]),
];

/// Over the files beside `docs`, not looked at while weights were chosen.
pub const TOP_UNSEEN: &[Question] = &[
    ("Which fields can hold the text of a pushed document?", &["Exactly one of `text`, `markdown` and `html`"]),
    ("How do I ask the twin from Python?", &["from openai import OpenAI"]),
    ("Can training use several GPUs?", &["training on more than one GPU"]),
    (
        "What keeps two processes from working on one job?",
        &["a job is never worked on by two processes", "found again by the lock that it holds"],
    ),
    ("Does the index know which revision is live?", &["the index does not know which revision is live"]),
    (
        "Why is inference an unordered stage?",
        &["a cancellation must not wait behind", "Queries have nothing to do with each other"],
    ),
    ("Which code may read the environment?", &["Only `twin/src/config/` and the command line read the environment"]),
    ("How do I add another backend?", &["A second implementation of a port is one folder"]),
    ("What does make bench do?", &["`make bench` measures", "`make bench` measures the system"]),
    (
        "How does the twin handle payloads that are too large for a broker?",
        &["Here `ClaimCheck` is an `EventLog` around an"],
    ),
    ("What does the cleaner do with source code?", &["source code passes byte for byte"]),
    ("Who writes the rows of a document?", &["a document's rows are written through"]),
];
