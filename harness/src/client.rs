//! The HTTP client of the orchestrators' API: what a user's program would do, nothing more.

use std::cell::Cell;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, Url};
use serde::Serialize;
use serde_json::Value;

use crate::oracle::Answer;

/// How long one call may take beyond the time that it asks the server to wait.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a change may take that is as large as a request to prune.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one `GET …?wait=` asks the orchestrator to wait, in seconds.
const WAIT_S: u64 = 20;

/// A client of one or more orchestrators, which it uses in turns.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    orchestrators: Vec<String>,
    calls: Cell<u64>,
}

/// A request to create a task.
#[derive(Debug, Serialize)]
pub struct NewTask<'a> {
    /// The template's namespace.
    pub namespace: &'a str,
    /// The template's name.
    pub template: &'a str,
    /// The template's version; the newest when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// The task's context.
    pub context: &'a Value,
    /// What makes it safe to send the request again.
    pub idempotency_key: &'a str,
}

/// A bearer token that no header can carry.
#[derive(Debug, thiserror::Error)]
#[error("the token has characters that no HTTP header can carry")]
pub struct InvalidToken;

/// Why a call did not give an answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed or broke, or the time is over: trying again can help.
    #[error("{url}: {error}")]
    Unreachable {
        /// What was called.
        url: String,
        /// Why it failed.
        error: String,
    },
    /// The orchestrator asks to come back later: trying again helps.
    #[error("{url}: the orchestrator is busy ({detail})")]
    Busy {
        /// What was called.
        url: String,
        /// How long it asks to wait.
        retry_after: Duration,
        /// What it says.
        detail: String,
    },
    /// The request was refused: trying again does not help.
    #[error("{url}: {status}: {detail}")]
    Refused {
        /// What was called.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// What the orchestrator says.
        detail: String,
    },
    /// The answer is not what the API promises: trying again does not help.
    #[error("{url}: not an answer of the API: {error}")]
    Malformed {
        /// What was called.
        url: String,
        /// What is wrong with it.
        error: String,
    },
}

impl ClientError {
    /// How long to wait before trying again; nothing when trying again cannot help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ClientError::Unreachable { .. } => Some(Duration::from_millis(20)),
            ClientError::Busy { retry_after, .. } => Some(*retry_after),
            ClientError::Refused { .. } | ClientError::Malformed { .. } => None,
        }
    }
}

impl Client {
    /// A client of the orchestrators at these base URLs.
    pub fn new(orchestrators: Vec<String>) -> Client {
        let http = reqwest::Client::builder().no_proxy().build();
        let http = http.expect("a client without TLS and proxies has nothing that can fail");
        Client { http, orchestrators, calls: Cell::new(0) }
    }

    /// A client for whole URLs, which tells this bearer token, where there is one.
    ///
    /// # Errors
    /// The token has characters that no header can carry.
    pub fn with_token(token: Option<&str>) -> Result<Client, InvalidToken> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut bearer = bearer.map_err(|_| InvalidToken)?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let http = reqwest::Client::builder().no_proxy().connect_timeout(CALL_TIMEOUT);
        let http = http.default_headers(headers).build();
        let http = http.expect("a client without TLS and proxies has nothing that can fail");
        Ok(Client { http, orchestrators: Vec::new(), calls: Cell::new(0) })
    }

    /// The base URLs of the orchestrators.
    pub fn orchestrators(&self) -> &[String] {
        &self.orchestrators
    }

    /// Number of API calls made so far.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Creates a task on the orchestrator whose turn it is for `number`.
    ///
    /// # Errors
    /// The call failed or was refused.
    pub async fn create(&self, number: u64, task: &NewTask<'_>) -> Result<Answer, ClientError> {
        let url = format!("{}/v1/tasks", self.orchestrator(number));
        let request = self.http.post(&url).json(task).timeout(CALL_TIMEOUT);
        self.call(url, request).await
    }

    /// Asks for a task, waiting until it is terminal or the orchestrator has waited enough.
    ///
    /// # Errors
    /// The call failed or was refused.
    pub async fn wait(&self, number: u64, task_uuid: &str) -> Result<Answer, ClientError> {
        let base = self.orchestrator(number);
        let url = format!("{base}/v1/tasks/{task_uuid}?wait={WAIT_S}");
        let timeout = CALL_TIMEOUT + Duration::from_secs(WAIT_S);
        let request = self.http.get(&url).timeout(timeout);
        self.call(url, request).await
    }

    /// The document at this URL as it is, of a server that may take `wait` to answer.
    ///
    /// # Errors
    /// The call failed or was refused.
    pub async fn get(&self, url: Url, wait: Duration) -> Result<String, ClientError> {
        self.document(self.http.get(url.clone()).timeout(CALL_TIMEOUT + wait), url).await
    }

    /// What is answered to a change that is asked for with this JSON, or with nothing.
    ///
    /// # Errors
    /// The call failed or was refused. Where it failed, the change may have been made.
    pub async fn post(&self, url: Url, json: Option<String>) -> Result<String, ClientError> {
        let mut request = self.http.post(url.clone()).timeout(CHANGE_TIMEOUT);
        if let Some(json) = json {
            request = request.header(CONTENT_TYPE, "application/json").body(json);
        }
        self.document(request, url).await
    }

    /// The text of a plain page, such as `/healthz` or `/metrics`, of any process of the cluster.
    ///
    /// # Errors
    /// The call failed or was refused.
    pub async fn page(&self, url: &str) -> Result<String, ClientError> {
        let response = self.http.get(url).timeout(CALL_TIMEOUT).send().await;
        let response = response.map_err(|error| unreachable(url, &error))?;
        let response = accept(url, response).await?;
        response.text().await.map_err(|error| unreachable(url, &error))
    }

    fn orchestrator(&self, number: u64) -> &str {
        &self.orchestrators[(number % self.orchestrators.len() as u64) as usize]
    }

    async fn document(
        &self,
        request: reqwest::RequestBuilder,
        url: Url,
    ) -> Result<String, ClientError> {
        self.calls.set(self.calls.get() + 1);
        let response = request.send().await.map_err(|error| unreachable(url.as_str(), &error))?;
        let response = accept(url.as_str(), response).await?;
        response.text().await.map_err(|error| unreachable(url.as_str(), &error))
    }

    async fn call(
        &self,
        url: String,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, ClientError> {
        self.calls.set(self.calls.get() + 1);
        let response = request.send().await.map_err(|error| unreachable(&url, &error))?;
        let response = accept(&url, response).await?;
        let body = response.bytes().await.map_err(|error| unreachable(&url, &error))?;
        serde_json::from_slice(&body)
            .map_err(|error| ClientError::Malformed { url, error: error.to_string() })
    }
}

async fn accept(url: &str, response: Response) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let url = url.to_owned();
    let seconds = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
    let seconds = seconds.and_then(|v| v.parse().ok()).unwrap_or(1);
    let detail = response.text().await.unwrap_or_default();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let retry_after = Duration::from_secs(seconds);
        return Err(ClientError::Busy { url, retry_after, detail });
    }
    Err(ClientError::Refused { url, status, detail })
}

fn unreachable(url: &str, error: &reqwest::Error) -> ClientError {
    // reqwest's own message repeats the URL and hides the cause, which is what helps.
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ClientError::Unreachable { url: url.to_owned(), error: cause.to_string() }
}
