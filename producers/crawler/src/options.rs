use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the crawler works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How the crawler names itself to servers. Say whose it is, and where its owner can be reached.
    pub user_agent: String,
    /// Seconds between syncs of a source that is registered without its own interval.
    pub interval_s: u64,
    /// Sources synced at the same time.
    pub max_concurrent_syncs: usize,
    /// How often the list of sources is looked at for one that is due, milliseconds. One that is registered, or asked for,
    /// through this process is looked at at once.
    pub poll_ms: u64,
    /// Records that one sync has under way in the warehouse at a time.
    pub records_in_flight: usize,
    /// A sync deletes up to this many documents without asking, whatever their share.
    pub brake_min: u64,
    /// A sync deletes up to this share (0 to 1) of an author's documents without asking; more waits for
    /// `twin sources confirm`.
    pub brake_share: f64,
    /// Feeds.
    pub feed: FeedOptions,
    /// Uploaded files.
    pub files: FilesOptions,
    /// Folders.
    pub folder: FolderOptions,
    /// Git repositories.
    pub git: GitOptions,
    /// Requests to servers.
    pub http: HttpOptions,
    /// How often one host is asked, by all sources together.
    pub per_host: PerHostOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_agent: concat!("llm-twin/", env!("CARGO_PKG_VERSION"), " (collects its owner's own publications)")
                .into(),
            interval_s: 3_600,
            max_concurrent_syncs: 4,
            poll_ms: 1_000,
            records_in_flight: 64,
            brake_min: 5,
            brake_share: 0.2,
            feed: FeedOptions::default(),
            files: FilesOptions::default(),
            folder: FolderOptions::default(),
            git: GitOptions::default(),
            http: HttpOptions::default(),
            per_host: PerHostOptions::default(),
        }
    }
}

/// How feeds are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeedOptions {
    /// An item that has left the feed is gone once its page answered 404 or 410 twice, at least this many seconds
    /// apart. Its page is asked no more often than that.
    pub gone_after_s: u64,
    /// Pages of items that have left the feed, asked in one sync.
    pub probes_per_sync: usize,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self { gone_after_s: 86_400, probes_per_sync: 5 }
    }
}

/// How folders are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FolderOptions {
    /// The largest file, bytes. A larger one is reported as failed.
    pub max_file_bytes: u64,
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self { max_file_bytes: 2 << 20 }
    }
}

/// How uploaded files are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilesOptions {
    /// The largest file, bytes, alone or in an archive. A larger one is reported as failed.
    pub max_file_bytes: u64,
    /// The most entries of an archive, those included that are not read.
    pub max_entries: usize,
    /// The most that the files of an archive may unpack to, bytes.
    pub max_unpacked_bytes: u64,
    /// The most that an archive, or a file of it that is larger than 1 MiB, may unpack to, as a multiple of its size.
    pub max_ratio: u64,
}

impl Default for FilesOptions {
    fn default() -> Self {
        Self { max_file_bytes: 2 << 20, max_entries: 20_000, max_unpacked_bytes: 1 << 30, max_ratio: 200 }
    }
}

/// How git repositories are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GitOptions {
    /// Where copies of remote repositories are kept. Empty: `git` in the data folder.
    pub work_dir: PathBuf,
    /// The largest file, bytes. A larger one is left out.
    pub max_file_bytes: u64,
    /// The longest that a fetch from a remote may take, seconds.
    pub fetch_timeout_s: u64,
}

impl Default for GitOptions {
    fn default() -> Self {
        Self { work_dir: PathBuf::new(), max_file_bytes: 256 << 10, fetch_timeout_s: 600 }
    }
}

/// How servers are asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpOptions {
    /// Hosts (`host`, or `host:port` for that port only) that may be reached at private, loopback and other
    /// special-purpose addresses. A source elsewhere never reaches them, not by a redirect either.
    pub allow_private_hosts: Vec<String>,
    /// Time to connect, milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest silence within an answer, milliseconds.
    pub read_timeout_ms: u64,
    /// Time for a whole answer, milliseconds.
    pub total_timeout_ms: u64,
    /// The largest answer, bytes after decompression.
    pub max_body_bytes: u64,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allow_private_hosts: Vec::new(),
            connect_timeout_ms: 10_000,
            read_timeout_ms: 20_000,
            total_timeout_ms: 60_000,
            max_body_bytes: 10 << 20,
        }
    }
}

/// How often a host is asked, by all sources of this process together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PerHostOptions {
    /// Requests to one host at a time. A fetch of a git repository counts as one.
    pub max_in_flight: usize,
    /// Between the beginnings of two requests to one host, milliseconds.
    pub spacing_ms: u64,
    /// The longest that a sync waits where a host asks to be left alone (429 or 503 with `Retry-After`), milliseconds. Where
    /// it asks for more, the syncs of its sources end, and come again when the time is over.
    pub longest_wait_ms: u64,
}

impl Default for PerHostOptions {
    fn default() -> Self {
        Self { max_in_flight: 2, spacing_ms: 100, longest_wait_ms: 30_000 }
    }
}
