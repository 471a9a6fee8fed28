//! Dataset versions, training jobs, models, decisions and deployments.
