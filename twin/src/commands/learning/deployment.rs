//! What became of a deployment.

use std::time::{Duration, Instant};

use twin_api::{DeploymentList, DeploymentState, DeploymentView};

use super::LOOK;
use crate::commands::Context;
use crate::error::CommandError;

/// Above the time that any model takes to be loaded and tried.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Tells of a deployment; with `wait`, once it serves. An error: it failed.
pub async fn told(mut deployment: DeploymentView, wait: bool, context: &mut Context) -> Result<(), CommandError> {
    let started = Instant::now();
    while wait && deployment.state == DeploymentState::Requested {
        if started.elapsed() >= TIMEOUT {
            let after = TIMEOUT.as_secs();
            return Err(CommandError::TimedOut(format!("no worker has taken up the deployment after {after} s")));
        }
        tokio::time::sleep(LOOK).await;
        let all: DeploymentList =
            context.client.get(&["authors", &deployment.author, "deployments"], &[]).await?.parse()?;
        let same = all.deployments.into_iter().find(|other| other.number == deployment.number);
        deployment = same.unwrap_or(deployment);
    }
    let DeploymentView { author, number, model, state, detail, .. } = &deployment;
    let model = model.as_deref().unwrap_or("the base model");
    let line = format!("deployment {number} of {author}: {model} is {}", state.as_str());
    if *state == DeploymentState::Failed {
        return Err(CommandError::Failed(format!("{line}: {}", detail.as_deref().unwrap_or("the log says why"))));
    }
    context.out.line(&line)
}
