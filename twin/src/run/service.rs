//! The services as the command line and readiness know them.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use twin_schemas::Service;

/// A service that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted(pub Service);

impl ValueEnum for Wanted {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Wanted; Service::ALL.len()] = {
            let mut all = [Wanted(Service::Crawler); Service::ALL.len()];
            let mut index = 0;
            while index < all.len() {
                all[index] = Wanted(Service::ALL[index]);
                index += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()).help(self.0.purpose()))
    }
}

/// The parts of readiness that a service will report.
pub(super) fn parts(service: Service) -> Vec<&'static str> {
    match service {
        // A source that fails does not make the process unfit; its last sync says so.
        Service::Crawler => Vec::new(),
        Service::Inference => vec!["llm", service.name()],
        other => vec![other.name()],
    }
}
