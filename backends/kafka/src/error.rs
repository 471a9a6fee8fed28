//! Which failures of a Kafka client pass by themselves, and what to do about those that do not.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use twin_backend::Kind;

use twin_stream::Error;

const CREDENTIALS: &str = "the brokers do not accept these credentials: set `sasl.mechanism`, `sasl.username` and \
    `sasl.password` in `log.kafka.properties`";
const RIGHTS: &str = "this user may not do that: allow it by an ACL, or use another user in `log.kafka.properties`";
const SETTINGS: &str = "see `log.kafka` in docs/configuration.md";
const VERSION: &str = "the brokers are too old for this program, or do not have this switched on";
const RESTART: &str = "this client can not go on: start the twin anew";

/// A failure of a client, with what to do about it where it does not pass.
#[derive(Debug, thiserror::Error)]
#[error("kafka: {cause}{}", .advice.map(|advice| format!("; {advice}")).unwrap_or_default())]
struct Failure {
    cause: KafkaError,
    advice: Option<&'static str>,
}

/// A client's failure as the log tells it.
pub(crate) fn failed(cause: KafkaError) -> Error {
    let advice = advice(&cause);
    let kind = if advice.is_some() { Kind::Permanent } else { Kind::Transient };
    Error::Backend(twin_backend::Error::new(kind, Failure { cause, advice }))
}

/// The brokers did not let a client in; `told` is what the client says of it. The call that waited for the connection
/// knows of a time-out only.
pub(crate) fn refused(cause: KafkaError, told: &str) -> Error {
    let advice = advice(&cause).unwrap_or(SETTINGS);
    Error::Backend(twin_backend::Error::permanent(format!("kafka: {told}; {advice}")))
}

/// Whether an error that a client tells of apart from any call means that it will never be let in.
pub(crate) fn is_refusal(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL))
}

/// What to do about a failure that does not pass; none for one that does. What is not known is taken to pass: then
/// nothing is lost but time.
fn advice(error: &KafkaError) -> Option<&'static str> {
    let code = match error {
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => return Some(SETTINGS),
        KafkaError::MessageConsumptionFatal(_) => return Some(RESTART),
        KafkaError::AdminOp(code) => *code,
        error => error.rdkafka_error_code()?,
    };
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::SecurityDisabled
        | Code::UnacceptableCredential
        | Code::DelegationTokenExpired
        | Code::DelegationTokenNotFound => Some(CREDENTIALS),
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::DelegationTokenAuthorizationFailed => Some(RIGHTS),
        Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedCompressionType
        | Code::NotImplemented => Some(VERSION),
        Code::InvalidConfig
        | Code::InvalidArgument
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::InvalidRequiredAcks
        | Code::PolicyViolation
        | Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge => Some(SETTINGS),
        Code::Fatal | Code::Fenced | Code::FencedInstanceId | Code::ProducerFenced => Some(RESTART),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_transient() {
        for code in [
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::Resolve,
            Code::MessageTimedOut,
            Code::OperationTimedOut,
            Code::RequestTimedOut,
            Code::QueueFull,
            Code::LeaderNotAvailable,
            Code::NotLeaderForPartition,
            Code::NotEnoughReplicas,
            Code::NotEnoughReplicasAfterAppend,
            Code::CoordinatorNotAvailable,
            Code::UnknownTopicOrPartition,
            Code::RebalanceInProgress,
            Code::KafkaStorageError,
        ] {
            for error in
                [KafkaError::MetadataFetch(code), KafkaError::MessageProduction(code), KafkaError::AdminOp(code)]
            {
                let error = failed(error);
                assert!(error.is_transient(), "{error}");
            }
        }
        assert!(failed(KafkaError::Canceled).is_transient());
    }

    #[test]
    fn what_does_not_pass_says_what_to_do() {
        for (code, word) in [
            (Code::Authentication, "sasl.password"),
            (Code::SaslAuthenticationFailed, "sasl.password"),
            (Code::UnsupportedSASLMechanism, "sasl.mechanism"),
            (Code::TopicAuthorizationFailed, "ACL"),
            (Code::GroupAuthorizationFailed, "ACL"),
            (Code::ClusterAuthorizationFailed, "ACL"),
            (Code::UnsupportedVersion, "too old"),
            (Code::InvalidReplicationFactor, "log.kafka"),
            (Code::MessageSizeTooLarge, "log.kafka"),
            (Code::Fatal, "anew"),
        ] {
            for error in
                [KafkaError::MessageConsumption(code), KafkaError::MessageProduction(code), KafkaError::AdminOp(code)]
            {
                let error = failed(error);
                assert!(!error.is_transient() && error.to_string().contains(word), "{error}");
            }
        }
        let unknown_property = rdkafka::ClientConfig::new().set("no.such.property", "1").create_native_config();
        assert!(unknown_property.is_err_and(|error| !failed(error).is_transient()));
    }
}
