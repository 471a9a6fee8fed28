//! A copy of a remote repository's newest commit, without history: what is deleted or edited shows in the tree.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::error::{ErrorExt, message};
use gix::progress::Discard;
use gix::protocol::handshake::Ref;
use gix::protocol::transport::client::blocking_io::http;
use gix::refs::transaction::PreviousValue;
use gix::remote::Direction;
use gix::remote::fetch::{Shallow, Tags};
use url::Url;

use crate::Error;
use crate::credential::Credential;
use crate::error::chain;
use crate::network::{Reach, Resolver};

/// Keeps the newest commit from one fetch to the next, so that only what changed is sent.
const KEPT: &str = "refs/twin/head";

/// What a remote repository is now.
pub(super) struct Head {
    pub commit: ObjectId,
    /// Short name of the default branch, where the server says it.
    pub branch: Option<String>,
}

/// How a remote is asked.
#[derive(Clone)]
pub(super) struct Remote {
    /// After redirects, each of which was checked.
    pub url: Url,
    pub reach: Reach,
    /// What the server is shown. It is a header of the requests, in memory: it stands in no command line, environment or
    /// configuration of the copy.
    pub credential: Option<Credential>,
    pub user_agent: String,
    pub connect_timeout: Duration,
    pub read_timeout: Duration,
    /// Set when nobody waits for it any more.
    pub interrupt: Arc<AtomicBool>,
}

impl Remote {
    /// Brings the copy in `folder` up to date and returns its head. A copy that can not be used is made anew.
    pub fn update(&self, folder: &Path) -> Result<Head, Error> {
        let had_copy = folder.exists();
        match self.try_update(folder) {
            Err(error) if had_copy && !self.interrupt.load(Ordering::Relaxed) => {
                tracing::info!(url = %self.url, error = chain(&error), "copy of the repository is made anew");
                fs::remove_dir_all(folder).map_err(|error| self.failed(&error.to_string()))?;
                self.try_update(folder).map_err(|error| self.failed(&chain(&error)))
            }
            result => result.map_err(|error| self.failed(&chain(&error))),
        }
    }

    fn failed(&self, problem: &str) -> Error {
        Error::Location { location: self.url.to_string(), problem: problem.to_owned() }
    }

    fn try_update(&self, folder: &Path) -> gix::Result<Head> {
        let options = gix::open::Options::isolated;
        let repository = if folder.exists() {
            gix::open_opts(folder, options())?
        } else {
            let create = gix::create::Options::default();
            gix::ThreadSafeRepository::init_opts(folder, gix::create::Kind::Bare, create, options())?.to_thread_local()
        };
        let remote = repository
            .remote_at_without_url_rewrite(self.url.as_str())?
            .with_refspecs(["HEAD"], Direction::Fetch)?
            .with_fetch_tags(Tags::None);
        let connection = remote
            .connect(Direction::Fetch)?
            .with_credentials(|_| {
                let problem = "it asks for a password: register the source with the secret `token`, or renew it";
                Err(message(problem).raise_erased().into())
            })
            .with_transport_options(Box::new(self.transport()));
        let fetch = connection.prepare_fetch(Discard, Default::default())?;
        let (commit, branch) = head_of(&fetch.ref_map().remote_refs)
            .ok_or_else(|| message("it is empty: push a commit first").raise_erased())?;
        let is_here = repository.find_header(commit).is_ok() && repository.find_reference(KEPT).is_ok();
        if !is_here {
            let newest = Shallow::DepthAtRemote(NonZeroU32::MIN);
            fetch.with_shallow(newest).receive(Discard, &self.interrupt)?;
            repository.reference(KEPT, commit, PreviousValue::Any, "fetched")?;
        }
        Ok(Head { commit, branch })
    }

    /// The same limits as for every other request: no proxy, checked addresses, no redirects (those were followed and
    /// checked before).
    fn transport(&self) -> http::Options {
        let (reach, user_agent) = (self.reach, self.user_agent.clone());
        let (connect_timeout, read_timeout) = (self.connect_timeout, self.read_timeout);
        let backend = http::reqwest::Options {
            configure_client: Some(Box::new(move |client| {
                Ok(client
                    .no_proxy()
                    .user_agent(user_agent.clone())
                    .connect_timeout(connect_timeout)
                    .timeout(read_timeout)
                    .dns_resolver(Arc::new(Resolver(reach))))
            })),
            configure_request: None,
        };
        http::Options {
            follow_redirects: http::options::FollowRedirects::None,
            user_agent: Some(self.user_agent.clone()),
            extra_headers: self.credential.iter().filter_map(Credential::line).collect(),
            backend: Some(Arc::new(Mutex::new(backend))),
            ..http::Options::default()
        }
    }
}

/// The commit that the remote's `HEAD` is at and the branch that it names.
fn head_of(refs: &[Ref]) -> Option<(ObjectId, Option<String>)> {
    refs.iter().find_map(|reference| match reference {
        Ref::Symbolic { full_ref_name, target, object, .. } if full_ref_name == "HEAD" => {
            let branch = target.strip_prefix(b"refs/heads/").map(|branch| branch.to_str_lossy().into_owned());
            Some((*object, branch))
        }
        Ref::Direct { full_ref_name, object } if full_ref_name == "HEAD" => Some((*object, None)),
        _ => None,
    })
}

/// Ends a fetch when dropped.
pub(super) struct InterruptOnDrop(pub Arc<AtomicBool>);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
