use crate::log::{Position, TopicPartition};

/// What can go wrong with an event log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What keeps the log: a database, a cluster.
    #[error(transparent)]
    Backend(#[from] twin_backend::Error),
    /// A topic that does not exist.
    #[error("there is no topic {0}; `twin run` creates the topics at its start")]
    NoTopic(String),
    /// A topic that exists with another number of partitions.
    #[error("topic {topic} has {found} partitions, the configuration says {wanted}: set `log.partitions = {found}`")]
    Partitions {
        /// The topic.
        topic: String,
        /// Partitions that it has.
        found: u32,
        /// Partitions that it should have.
        wanted: u32,
    },
    /// A value larger than the log takes.
    #[error("a value of {bytes} bytes for {topic} is over the log's limit of {limit}")]
    TooLarge {
        /// The topic.
        topic: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record without a key.
    #[error("a record for {0} has no key")]
    NoKey(String),
    /// A commit for a partition that belongs to another member of the group by now.
    #[error("{0} belongs to another consumer of the group by now")]
    NotAssigned(TopicPartition),
    /// A stored record that this version can not read.
    #[error("the record at {position} can not be read: {problem}")]
    Stored {
        /// Which.
        position: Position,
        /// Why.
        problem: &'static str,
    },
    /// The Kafka client's thread could not be started.
    #[error("a thread for the Kafka client can not be started: {0}")]
    Thread(std::io::Error),
    /// The artifact store that holds large payloads.
    #[error("artifact of a large event: {0}")]
    Artifact(#[from] twin_artifacts::Error),
    /// A partition of which neither a record nor the end came in time.
    #[error("{0} can not be read to its end: nothing comes")]
    Silent(TopicPartition),
    /// The log has been closed.
    #[error("the event log is closed")]
    Closed,
}

impl Error {
    /// Whether the disk did not take a write: it is full, or failing.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Backend(error) if error.is_of_the_disk())
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Backend(error) => error.is_transient(),
            Self::Silent(_) => true,
            Self::Artifact(error) => error.is_transient(),
            _ => false,
        }
    }
}
