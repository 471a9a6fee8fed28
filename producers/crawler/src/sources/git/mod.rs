//! The files of a git repository's newest commit, local or remote.

mod forge;
mod remote;
mod select;
mod settings;
mod tree;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use twin_schemas::SourceId;
use url::Url;

use super::thread::{collect_on_thread, joined};
use super::{Collect, Evidence, Listing, Schema, Sink, Source, schema_for};
use crate::Error;
use crate::credential::Credential;
use crate::hosts::Waits;
use crate::http::{Http, Session, Validators};
use crate::network::{Reach, without_secrets};
use crate::options::{GitOptions, HttpOptions};
use crate::settings::{Invalid, Registration, SecretName};
use forge::Web;
use remote::{Head, InterruptOnDrop, Remote};
use settings::GitSettings;
use tree::{List, Where};

const INFO_REFS: &str = "/info/refs";

/// See the module.
pub(super) struct Git {
    options: GitOptions,
    user_agent: String,
    connect_timeout: Duration,
    read_timeout: Duration,
    http: Http,
}

#[async_trait]
impl Source for Git {
    fn kind(&self) -> &'static str {
        "git"
    }

    fn recognises(&self, location: &str) -> bool {
        match Url::parse(location) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                url.path().ends_with(".git") || forge::is_repository(&url)
            }
            _ => is_local_repository(Path::new(location)),
        }
    }

    fn accept(&self, location: &str) -> Result<String, String> {
        match Url::parse(location) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => self.accept_url(url),
            Ok(url) if !Path::new(location).exists() => Err(format!(
                "{} addresses are not read; give the repository's https address or a local path",
                url.scheme()
            )),
            _ => accept_path(location),
        }
    }

    fn settings_schema(&self) -> Schema {
        schema_for!(GitSettings)
    }

    fn secrets(&self) -> &'static [SecretName] {
        settings::SECRETS
    }

    fn check(&self, registration: &Registration<'_>) -> Result<(), Invalid> {
        self.credential(registration).map(drop)
    }

    /// Asks the server whether there is a repository. A local one was looked at when its path was accepted.
    async fn inspect(&self, registration: &Registration<'_>) -> Result<String, Error> {
        if let Some(url) = remote_address(registration.location) {
            let session = self.http.session(url.clone(), self.credential(registration)?, Waits::default());
            self.after_redirects(&session, &url).await?;
        }
        Ok(registration.location.to_owned())
    }

    /// No cursor is saved in the midst: what was fetched lies in the copy, and a file that was recorded is known by its blob,
    /// so a sync that was cut off neither fetches nor reads it again.
    async fn collect(&self, request: Collect<'_>, sink: &mut dyn Sink) -> Result<Listing, Error> {
        let location = request.location().to_owned();
        let head = match remote_address(&location) {
            Some(url) => {
                let credential = self.credential(&request.registration())?;
                let session = self.http.session(url.clone(), credential, request.waits.clone());
                self.fetch(request.source.id, &location, url, &session).await?
            }
            None => Where::Local,
        };
        let listing = List {
            scope: location,
            prose_category: request.category(),
            max_file_bytes: self.options.max_file_bytes,
            known: request.known.clone(),
        };
        let commit = collect_on_thread(sink, move |sender| listing.run(head, sender)).await?;
        Ok(Listing { cursor: serde_json::json!({ "commit": commit.to_string() }), evidence: Evidence::Complete })
    }
}

impl Git {
    pub fn new(options: GitOptions, user_agent: &str, limits: &HttpOptions, http: Http) -> Self {
        Self {
            options,
            user_agent: user_agent.to_owned(),
            connect_timeout: Duration::from_millis(limits.connect_timeout_ms),
            read_timeout: Duration::from_millis(limits.read_timeout_ms),
            http,
        }
    }

    fn credential(&self, registration: &Registration<'_>) -> Result<Option<Credential>, Invalid> {
        let settings: GitSettings = registration.settings()?;
        let credential = settings.credential(registration)?;
        let Some(url) = remote_address(registration.location) else {
            let is_bare = credential.is_none();
            return if is_bare { Ok(None) } else { Err(Invalid::new("secrets", "a local repository needs no secret")) };
        };
        if credential.is_some() && url.scheme() == "http" && self.http.guard().reach(&url) == Reach::Public {
            return Err(Invalid::new("location", "a secret is sent over https alone; give the https address"));
        }
        Ok(credential)
    }

    fn accept_url(&self, mut url: Url) -> Result<String, String> {
        let guard = self.http.guard();
        guard.check(&url, guard.reach(&url)).map_err(|error| error.to_string())?;
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        let on_forge = forge::is_known(&url);
        if path.is_empty() || (on_forge && path.matches('/').count() < 2) {
            return Err(format!("{url} is not a repository; give its address, such as https://github.com/owner/name"));
        }
        // One repository has one address, with and without `.git`, on the hosts known to serve both.
        let path = if on_forge { path.strip_suffix(".git").unwrap_or(&path) } else { &path };
        url.set_path(path);
        Ok(url.into())
    }

    /// Brings the copy of a remote repository up to date.
    async fn fetch(&self, source: SourceId, location: &str, url: Url, session: &Session) -> Result<Where, Error> {
        let address = self.after_redirects(session, &url).await?;
        let _turn = session.turn(&address).await?;
        let guard = self.http.guard();
        let reach = guard.check(&address, guard.reach(&url))?;
        let interrupt = Arc::new(AtomicBool::new(false));
        // Also when this future is dropped or the time is up.
        let _interrupt = InterruptOnDrop(interrupt.clone());
        let remote = Remote {
            credential: session.credential_for(&address).cloned(),
            url: address,
            reach,
            user_agent: self.user_agent.clone(),
            connect_timeout: self.connect_timeout,
            read_timeout: self.read_timeout,
            interrupt,
        };
        let work_dir = self.options.work_dir.clone();
        // One folder a source: two authors may register the same repository, and their syncs may run together.
        let folder = work_dir.join(source.to_string());
        let place = folder.clone();
        let web_address = url.to_string();
        let work = tokio::task::spawn_blocking(move || {
            fs::create_dir_all(&work_dir).map_err(|error| Error::Location {
                location: work_dir.display().to_string(),
                problem: format!("{error} (git.work_dir)"),
            })?;
            let Head { commit, branch } = remote.update(&folder)?;
            let web = branch.and_then(|branch| Web::of(&web_address, &branch));
            Ok((commit, web))
        });
        let timeout_s = self.options.fetch_timeout_s;
        let result = tokio::time::timeout(Duration::from_secs(timeout_s), work).await;
        let (commit, web) = joined(result.map_err(|_| Error::Location {
            location: location.to_owned(),
            problem: format!("not fetched within {timeout_s} s (git.fetch_timeout_s)"),
        })?)?;
        Ok(Where::Fetched { folder: place, commit, web })
    }

    /// The repository's address after redirects (it was renamed, or the host wants `.git`), each of them checked. The
    /// git library follows none: it could not check where they lead.
    async fn after_redirects(&self, session: &Session, url: &Url) -> Result<Url, Error> {
        let mut info_refs = url.clone();
        info_refs.set_path(&format!("{}{INFO_REFS}", url.path().trim_end_matches('/')));
        info_refs.set_query(Some("service=git-upload-pack"));
        let answer = session.get(&info_refs, "*/*", &Validators::default()).await?;
        if !answer.status().is_success() {
            return Err(session.status_error(&answer, chrono::Utc::now()));
        }
        let mut address = answer.url;
        let path = address.path().strip_suffix(INFO_REFS).map(str::to_owned).ok_or_else(|| Error::Location {
            location: url.to_string(),
            problem: format!("it leads to {}, which is not a repository", without_secrets(&address)),
        })?;
        address.set_path(&path);
        address.set_query(None);
        Ok(address)
    }
}

/// The address of a remote repository; none of a local one.
fn remote_address(location: &str) -> Option<Url> {
    Url::parse(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

fn is_local_repository(path: &Path) -> bool {
    let is_bare = path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir();
    path.join(".git").exists() || is_bare
}

fn accept_path(location: &str) -> Result<String, String> {
    let path = fs::canonicalize(location).map_err(|error| format!("repository {location:?}: {error}"))?;
    if !is_local_repository(&path) {
        return Err(format!(
            "{location:?} is not a git repository; register it as a folder, or give the repository's root"
        ));
    }
    let path = path.to_str().ok_or_else(|| format!("the path of {location:?} is not UTF-8; rename the folder"))?;
    Ok(path.to_owned())
}
