//! The schema says the same as the table of states in Rust, and every statement fits it.

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use stepmark_workflow::state::{STEP_TRANSITIONS, StepState, TASK_TRANSITIONS, TaskState};

use crate::support::Database;

#[tokio::test]
async fn every_statement_fits_the_schema_and_says_why_it_is_there() {
    let mut connection = Database::migrated().connect().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let mut prepared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("-- "), "{}: no reason", path.display());
        if let Err(error) =
            (&mut connection).prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(text))).await
        {
            panic!("{}: {error}", path.display());
        }
        prepared += 1;
    }
    assert!(prepared >= 17, "only {prepared} statements were found");
}

#[tokio::test]
async fn the_states_of_the_database_are_those_of_the_code() {
    let mut connection = Database::migrated().connect().await;
    let names = StepState::ALL.iter().map(|state| state.name());
    assert_eq!(labels(&mut connection, "step_state").await, names.collect());
    let names = TaskState::ALL.iter().map(|state| state.name());
    assert_eq!(labels(&mut connection, "task_state").await, names.collect());
}

async fn labels(connection: &mut PgConnection, name: &str) -> BTreeSet<&'static str> {
    let labels: Vec<String> =
        sqlx::query_scalar("SELECT enumlabel::text FROM pg_enum WHERE enumtypid = $1::regtype")
            .bind(name)
            .fetch_all(connection)
            .await
            .unwrap();
    labels.into_iter().map(|label| &*label.leak()).collect()
}

#[tokio::test]
async fn the_audit_takes_exactly_the_transitions_of_the_table() {
    let mut connection = Database::migrated().connect().await;
    for from in StepState::ALL {
        for to in StepState::ALL {
            let sql = format!(
                "INSERT INTO workflow_step_transitions \
                 (step_id, sort_key, from_state, to_state, attempt) \
                 VALUES (1, 1, '{from}', '{to}', 0)"
            );
            let allowed = STEP_TRANSITIONS.contains(&(*from, *to));
            assert_eq!(passes(&mut connection, &sql).await, allowed, "step {from} → {to}");
        }
    }
    for from in TaskState::ALL {
        for to in TaskState::ALL {
            let sql = format!(
                "INSERT INTO task_transitions (task_id, sort_key, from_state, to_state) \
                 VALUES (1, 1, '{from}', '{to}')"
            );
            let allowed = TASK_TRANSITIONS.contains(&(*from, *to));
            assert_eq!(passes(&mut connection, &sql).await, allowed, "task {from} → {to}");
        }
    }
}

/// Whether a statement passes the checks; nothing of it stays.
async fn passes(connection: &mut PgConnection, sql: &str) -> bool {
    let mut transaction = connection.begin().await.unwrap();
    let inserted = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *transaction).await;
    transaction.rollback().await.unwrap();
    match inserted {
        Ok(_) => true,
        Err(error) => {
            let refused = error.as_database_error().and_then(|error| error.constraint());
            assert!(refused.is_some_and(|name| name.ends_with("_allowed")), "{error}");
            false
        }
    }
}

#[tokio::test]
async fn nobody_rewrites_the_audit_not_even_its_owner() {
    let mut connection = Database::migrated().connect().await;
    for table in ["workflow_step_transitions", "task_transitions"] {
        let sql = format!("UPDATE {table} SET at = now()");
        let updated = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
        let refused = updated.await.unwrap_err().to_string();
        assert!(refused.contains("never updated"), "{refused}");
    }
}

#[tokio::test]
async fn the_schema_can_be_prepared_again_and_by_several_at_once() {
    let database = Database::empty();
    let options = database.options();
    let patience = std::time::Duration::ZERO;
    let prepare = || stepmark_engine::database::prepare(&options, patience);
    tokio::try_join!(prepare(), prepare(), prepare()).unwrap();
    prepare().await.unwrap();
}
