//! The committed JSON Schema of templates is the one that the types make.

#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::{Value, json};
use stepmark_workflow::template::{is_name, schema};

#[test]
fn the_committed_schema_is_the_one_that_the_code_makes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/workflow.schema.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(committed, schema(), "make schema writes it anew");
}

#[test]
fn it_refuses_unknown_fields_and_tells_defaults_limits_and_what_must_be_there() {
    let schema = schema();
    let step = &schema["$defs"]["StepTemplate"];
    let retry = &schema["$defs"]["RetryPolicy"];
    for object in [&schema, step, retry] {
        assert_eq!(object["additionalProperties"], false, "{object}");
        for (name, property) in object["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{name} has no description");
        }
    }
    assert_eq!(schema["required"], json!(["namespace", "name", "steps"]));
    assert_eq!(step["required"], json!(["name", "handler"]));
    assert_eq!(retry["required"], Value::Null);
    assert_eq!(schema["properties"]["version"]["default"], 1);
    assert_eq!(retry["properties"]["max_attempts"]["default"], 3);
    assert_eq!(retry["properties"]["max_attempts"]["maximum"], 100);
    assert_eq!(schema["properties"]["name"]["pattern"], "^[a-z][a-z0-9_]{0,62}$");
    assert!(is_name("a") && !is_name("A") && !is_name(&"a".repeat(64)));
}
