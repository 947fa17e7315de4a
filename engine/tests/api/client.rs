//! A client of the API.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::support::Orchestrator;

/// Words that would tell a client of the inside.
const INSIDE: &[&str] =
    &["SELECT", "INSERT", "UPDATE ", "FROM tasks", "sqlx", "$1", "postgres:", "panicked", ".rs:"];

/// One orchestrator's client.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
}

/// An answer, read.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Client {
    pub fn of(orchestrator: &Orchestrator) -> Self {
        Self { http: reqwest::Client::new(), url: orchestrator.url.clone() }
    }

    /// Posts a body as JSON, whatever it is.
    pub async fn post_text(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.http.post(format!("{}/v1/tasks", self.url));
        Self::send(request.header(CONTENT_TYPE, "application/json").body(body)).await
    }

    pub async fn post(&self, body: &Value) -> Answer {
        self.post_text(body.to_string()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        Self::send(self.http.get(format!("{}{path}", self.url))).await
    }

    /// A new task's id.
    pub async fn create(&self, body: &Value) -> String {
        let answer = self.post(body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["task_uuid"].as_str().unwrap().to_owned()
    }

    /// A task at its end.
    pub async fn ended(&self, task_uuid: &str) -> Value {
        let answer = self.get(&format!("/v1/tasks/{task_uuid}?wait=60")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let task = answer.json();
        assert!(!task["finished_at"].is_null(), "it hasn't ended: {task}");
        task
    }

    pub async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What a problem document of this status says is wrong.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].as_str().unwrap().starts_with("about:blank#"));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert_eq!(problem.as_object().unwrap().len(), 4, "{problem}");
        for word in INSIDE {
            assert!(!self.text.contains(word), "{word}: {}", self.text);
        }
        problem["detail"].as_str().unwrap().to_owned()
    }
}
