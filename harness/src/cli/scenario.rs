//! `stepmark scenario`: scenario files checked and listed, without a database.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::{GOOD, INVALID, complain, root};
use crate::scenario::{self, Oracle, Scenario, ScenarioError};
use crate::statements::{Counted, Declared};

/// Where the engine has its statements, a file each.
const STATEMENTS: &str = "engine/sql";

/// What to do with scenarios.
#[derive(Debug, Subcommand)]
pub(super) enum ScenarioCommand {
    /// Say everything that is wrong with scenarios, each error at file:line:col.
    ///
    /// Exit code: 0 all are right, 2 something is wrong.
    Check(Paths),
    /// List scenarios: what each runs, what its tasks are given, where the right answers come from.
    List(Paths),
    /// Print scenarios/statements.json as the runs of a report call for it: what the engine has
    /// sent in them, and how often; and its other statements, which are rare. Take a report of
    /// `stepmark bench --nested-statements`.
    Statements {
        /// The report's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Paths {
    /// Scenarios, or folders of them [default: scenarios].
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(super) fn run(command: &ScenarioCommand) -> u8 {
    let paths = match command {
        ScenarioCommand::Statements { folder } => return statements(folder),
        ScenarioCommand::Check(Paths { paths }) | ScenarioCommand::List(Paths { paths }) => paths,
    };
    let scenarios = match read(&root(), paths) {
        Ok(scenarios) => scenarios,
        Err(error) => return complain(INVALID, &error),
    };
    match command {
        ScenarioCommand::List(_) => println!("{}", listed(&scenarios)),
        _ => match scenarios.len() {
            1 => println!("1 scenario is right"),
            many => println!("{many} scenarios are right"),
        },
    }
    GOOD
}

fn statements(folder: &Path) -> u8 {
    let report = match super::report::read(folder) {
        Ok(report) => report,
        Err(error) => return complain(INVALID, &error),
    };
    if report.runs.is_empty() || report.runs.iter().any(|run| run.statements.is_empty()) {
        return complain(INVALID, &"not all runs of the report have counted statements");
    }
    let version = &report.environment.postgres.version;
    let Ok(major) = version.split('.').next().unwrap_or_default().parse() else {
        return complain(INVALID, &format!("{version} is no version of PostgreSQL"));
    };
    let besides = match texts(&root().join(STATEMENTS)) {
        Ok(besides) => besides,
        Err(error) => return complain(INVALID, &format!("{STATEMENTS}: {error}")),
    };
    let scenarios = match read(&root(), &[]) {
        Ok(scenarios) => scenarios,
        Err(error) => return complain(INVALID, &error),
    };
    let expansions = |name: &str| scenarios.iter().find(|one| one.name == name)?.expansions;
    let runs = report.runs.iter().map(|run| Counted {
        broker: run.broker,
        counts_bind: run.is_plainest(),
        expansions: expansions(&run.scenario),
        statements: &run.statements,
    });
    let declared = Declared::from_runs(major, &runs.collect::<Vec<_>>(), &besides);
    match serde_json::to_string_pretty(&declared) {
        Ok(text) => println!("{text}"),
        Err(error) => return complain(INVALID, &error),
    }
    GOOD
}

/// The texts of a folder's statements.
fn texts(folder: &Path) -> std::io::Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)?;
    entries.map(|entry| std::fs::read_to_string(entry?.path())).collect()
}

fn read(root: &Path, paths: &[PathBuf]) -> Result<Vec<Scenario>, ScenarioError> {
    let folder = [root.join("scenarios")];
    let mut files = Vec::new();
    for path in if paths.is_empty() { &folder } else { paths } {
        match path.is_dir() {
            true => files.extend(scenario::files_of(path)?),
            false => files.push(path.clone()),
        }
    }
    // A file that is named beside its folder is one file.
    let mut unique: Vec<PathBuf> = Vec::new();
    for file in files {
        if !unique.contains(&file) {
            unique.push(file);
        }
    }
    scenario::read_all(root, &unique)
}

fn listed(scenarios: &[Scenario]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "scenario",
        "tier",
        "template",
        "tasks are given",
        "oracle",
    ]);
    for scenario in scenarios {
        let workflow = &scenario.workflow;
        let version = workflow.version.map(|version| format!(" version {version}"));
        let version = version.unwrap_or_default();
        let template = format!("{}/{}{version}", workflow.namespace, workflow.template);
        let given = match scenario.inputs.count() {
            Some(1) => "1 input".to_owned(),
            Some(many) => format!("{many} inputs in turns"),
            None => "generated inputs".to_owned(),
        };
        let oracle = match &scenario.oracle {
            Oracle::Table(_) => "expected",
            Oracle::Formula(_) => "formula",
            Oracle::Program(_) => "program",
        };
        let tier = scenario.tier.to_string();
        table.add_row([scenario.name.clone(), tier, template, given, oracle.to_owned()]);
    }
    table.trim_fmt()
}
