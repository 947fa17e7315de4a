//! What the commands that talk to an orchestrator have in common: where it is, and how its answers
//! become output and exit codes.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use reqwest::Url;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ENVIRONMENT, GOOD, INVALID, complain};
use crate::client::{Client, ClientError};

/// Which orchestrator is asked, and how its answers are shown.
#[derive(Debug, Args)]
pub(super) struct ApiArgs {
    /// The orchestrator.
    #[arg(long, global = true, env = "STEPMARK_URL", default_value = "http://127.0.0.1:8080")]
    #[arg(hide_env_values = true, value_parser = address)]
    url: Url,
    /// The bearer token that the orchestrator asks for.
    #[arg(long, global = true, env = "STEPMARK_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print JSON: the API's own document.
    #[arg(long, global = true)]
    json: bool,
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    match url.scheme() {
        "http" => Ok(url),
        other => Err(format!("{other}:// is not spoken, only http://")),
    }
}

/// An orchestrator's API.
pub(super) struct Api {
    client: Client,
    base: Url,
    /// Whether output is the API's own documents.
    pub json: bool,
}

/// Why a command ends: what is said, and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    why: String,
}

impl Failure {
    /// Bad input, or what was asked for is not so.
    pub fn invalid(why: impl fmt::Display) -> Failure {
        Failure { code: INVALID, why: why.to_string() }
    }
}

/// The exit code of a command, its failure told.
pub(super) fn ended(done: Result<u8, Failure>) -> u8 {
    match done {
        Ok(code) => code,
        // Whoever read the output has read enough.
        Err(Failure { code: GOOD, .. }) => GOOD,
        Err(Failure { code, why }) => complain(code, &why),
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let (code, why) = match &error {
            ClientError::Refused { status, detail, url } => match problem(detail) {
                Some(why) if *status == 401 => (INVALID, format!("{why}: --token, STEPMARK_TOKEN")),
                Some(why) => (INVALID, why),
                None => (ENVIRONMENT, format!("{url}: {status}, and not as an orchestrator says")),
            },
            ClientError::Unreachable { .. } => {
                (ENVIRONMENT, format!("{error} (--url or STEPMARK_URL names the orchestrator)"))
            }
            ClientError::Busy { .. } | ClientError::Malformed { .. } => (ENVIRONMENT, said(&error)),
        };
        Failure { code, why }
    }
}

/// An error in the API's words, where it has some.
pub(super) fn said(error: &ClientError) -> String {
    match error {
        ClientError::Busy { url, detail, .. } => match problem(detail) {
            Some(why) => format!("{url}: {why}"),
            None => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// What a problem document says.
fn problem(document: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Problem {
        detail: String,
    }
    serde_json::from_str(document).ok().map(|problem: Problem| problem.detail)
}

impl Api {
    /// The API that these flags name.
    pub fn of(args: &ApiArgs) -> Result<Api, Failure> {
        let client = Client::with_token(args.token.as_deref()).map_err(Failure::invalid)?;
        Ok(Api { client, base: args.url.clone(), json: args.json })
    }

    /// The document at this path below /v1, which may take `wait` to come.
    pub async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        wait: Duration,
    ) -> Result<String, ClientError> {
        let mut url = self.at(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.client.get(url, wait).await
    }

    /// What is answered to a change.
    pub async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<String, Failure> {
        let body = serde_json::to_string(body).map_err(Failure::invalid)?;
        Ok(self.client.post(self.at(path), Some(body)).await?)
    }

    /// What is answered to a change that says all by its path.
    pub async fn ask(&self, path: &[&str]) -> Result<String, Failure> {
        Ok(self.client.post(self.at(path), None).await?)
    }

    /// The document read.
    pub fn read<T: DeserializeOwned>(&self, document: &str) -> Result<T, ClientError> {
        serde_json::from_str(document).map_err(|error| ClientError::Malformed {
            url: self.base.to_string(),
            error: error.to_string(),
        })
    }

    /// Prints the document as it is, or what is made of it for people.
    pub fn show<T: DeserializeOwned>(
        &self,
        document: &str,
        text: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let read = self.read(document)?;
        if self.json {
            print(document)?
        } else {
            print(text(&read).trim_end())?
        }
        Ok(read)
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        url
    }
}

/// Prints a line, or several.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(unwritten)
}

/// A failure to write the output.
pub(super) fn unwritten(error: io::Error) -> Failure {
    let code = if error.kind() == ErrorKind::BrokenPipe { GOOD } else { ENVIRONMENT };
    Failure { code, why: format!("cannot write the output: {error}") }
}

/// A table with this heading.
pub(super) fn table<const COLUMNS: usize>(heading: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(heading);
    table
}
