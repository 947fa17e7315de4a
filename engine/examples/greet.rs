//! A worker of one's own; its template is `greet.yaml` beside it.
use std::{collections::BTreeMap, process::ExitCode};

use serde_json::{Value, json};
use stepmark_engine::worker::{Step, StepError, Worker};

fn main() -> ExitCode {
    Worker::new()
        .handler("examples", "greet", async |step: Step| {
            let context: Value = step.context()?;
            let name = context["name"].as_str();
            let name = name.ok_or_else(|| StepError::permanent("context needs a name"))?;
            Ok(json!({"text": format!("Hello, {name}!")}))
        })
        .handler("examples", "shout", async |step: Step| {
            let results: BTreeMap<String, Value> = step.parent_results()?;
            let text = results["greet"]["text"].as_str().unwrap_or_default();
            Ok(json!({"text": text.to_uppercase()}))
        })
        .main()
}
