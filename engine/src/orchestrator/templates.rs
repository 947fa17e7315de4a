//! The templates that this orchestrator makes tasks of.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use sqlx::PgConnection;
use stepmark_workflow::Template;
use stepmark_workflow::template::{Source, parse_all, read_bounded};

/// Templates by namespace and name, each with its versions and their ids in the database.
#[derive(Debug, Default)]
pub struct Templates {
    ids: BTreeMap<(String, String), BTreeMap<i32, i32>>,
}

impl Templates {
    /// The id of a template, of its highest version when none is asked for.
    ///
    /// # Errors
    /// What is not there, with what is.
    pub fn find(&self, namespace: &str, name: &str, version: Option<i32>) -> Result<i32, String> {
        let Some(versions) = self.ids.get(&(namespace.to_owned(), name.to_owned())) else {
            let known: Vec<String> =
                self.ids.keys().map(|(ns, name)| format!("{ns}/{name}")).take(20).collect();
            return Err(format!(
                "there is no template {name:?} in namespace {namespace:?}; this orchestrator has \
                 loaded {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ));
        };
        let found = match version {
            Some(version) => versions.get(&version),
            None => versions.last_key_value().map(|(_, id)| id),
        };
        found.copied().ok_or_else(|| {
            let known: Vec<String> = versions.keys().map(i32::to_string).collect();
            format!(
                "template {namespace}/{name} has no version {}; there is {}",
                version.unwrap_or_default(),
                known.join(", ")
            )
        })
    }

    /// All namespaces.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let mut namespaces: Vec<String> = self.ids.keys().map(|(ns, _)| ns.clone()).collect();
        namespaces.dedup();
        namespaces
    }

    /// Stores templates and learns their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn register(
        templates: &[Template],
        connection: &mut PgConnection,
    ) -> Result<Self, sqlx::Error> {
        let mut registered = Self::default();
        for template in templates {
            let id: i32 = sqlx::query_scalar(include_str!("../../sql/register_template.sql"))
                .bind(&template.namespace)
                .bind(&template.name)
                .bind(template.version)
                .bind(template.content_hash())
                .bind(template.definition())
                .bind(template.rows())
                .fetch_one(&mut *connection)
                .await?;
            let key = (template.namespace.clone(), template.name.clone());
            registered.ids.entry(key).or_default().insert(template.version, id);
        }
        Ok(registered)
    }
}

/// Reads and checks every `*.yaml` of a folder.
///
/// # Errors
/// All that is wrong with any of them, as text: each with file, line and column.
pub fn load(folder: &Path) -> Result<Vec<Template>, String> {
    let unreadable = |path: &Path, error: &dyn std::fmt::Display| {
        format!("templates can't be read from {}: {error}; see --templates", path.display())
    };
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let text = File::open(&path).and_then(read_bounded);
        let text = text.map_err(|error| unreadable(&path, &error))?;
        sources.push(Source { name: path.display().to_string(), text });
    }
    parse_all(&sources, None).map_err(|diagnostics| {
        let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}
