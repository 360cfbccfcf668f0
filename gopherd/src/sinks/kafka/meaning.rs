//! What an answer of a broker means for a message and for what comes after it. Pure.

use rdkafka::types::RDKafkaErrorCode as Code;

/// What to do about a message that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This message, or another one of its batch, will never be taken: if it was alone it is given up and counted.
    GiveUp,
    /// It was taken back by ourselves; nothing failed.
    TakenBack,
    /// Something that may be mended: everything from it on is sent again.
    Again,
}

/// What `code` says about the message that it came for.
pub(super) fn of_message(code: Code) -> Verdict {
    match code {
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidTimestamp
        | Code::InvalidRecord
        | Code::InvalidDifferentRecord
        | Code::BadMessage => Verdict::GiveUp,
        Code::PurgeQueue | Code::PurgeInflight => Verdict::TakenBack,
        _ => Verdict::Again,
    }
}

/// What an error without a message says about the whole client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// One connection broke; librdkafka makes it anew.
    Passing,
    /// A consequence of others, worth telling if nothing else is known.
    Vague,
    /// Worth telling.
    Telling,
    /// The client is of no use any more.
    Fatal,
}

/// The weight of `code` that came without a message.
pub(super) fn of_client(code: Code) -> Trouble {
    match code {
        Code::BrokerTransportFailure | Code::OperationTimedOut | Code::TimedOutQueue => Trouble::Passing,
        Code::AllBrokersDown => Trouble::Vague,
        Code::Fatal => Trouble::Fatal,
        _ => Trouble::Telling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_with_the_message_itself_gives_it_up() {
        for (code, verdict) in [
            (Code::MessageSizeTooLarge, Verdict::GiveUp),
            (Code::InvalidRecord, Verdict::GiveUp),
            (Code::PurgeInflight, Verdict::TakenBack),
            // Mended by the operator: the topic is made, the right is given, the brokers come back.
            (Code::UnknownTopicOrPartition, Verdict::Again),
            (Code::UnknownTopic, Verdict::Again),
            (Code::TopicAuthorizationFailed, Verdict::Again),
            (Code::NotEnoughReplicas, Verdict::Again),
            (Code::MessageTimedOut, Verdict::Again),
            (Code::Fatal, Verdict::Again),
        ] {
            assert_eq!(of_message(code), verdict, "{code:?}");
        }
    }

    #[test]
    fn a_refused_password_is_told_and_a_lost_connection_is_not() {
        assert_eq!(of_client(Code::Authentication), Trouble::Telling);
        assert_eq!(of_client(Code::SSL), Trouble::Telling);
        assert_eq!(of_client(Code::BrokerTransportFailure), Trouble::Passing);
        assert_eq!(of_client(Code::AllBrokersDown), Trouble::Vague);
    }
}
