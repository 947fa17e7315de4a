//! `stepmark workflow`: templates made, checked, drawn and planned, without a database.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use stepmark_workflow::plan::{Choices, Plan};
use stepmark_workflow::template::{Source, parse_all, read_bounded};
use stepmark_workflow::{Template, drawing};

use super::{ENVIRONMENT, GOOD, INVALID, complain, root};
use crate::authoring::{AuthoringError, Draft, Shape};
use crate::language::Language;

/// What to do with templates.
#[derive(Debug, Subcommand)]
pub(super) enum WorkflowCommand {
    /// Make a new workflow: a template, its handlers, a scenario with the right answers, and a test
    /// that holds the handlers against them. It passes as it is; change it step by step. What it
    /// wrote is printed, and the command of the test, which `make test` runs too.
    ///
    /// Exit code: 0 made, 2 the name is taken or is none, 3 the disk. All is written or nothing.
    New(NewArgs),
    /// Say everything that is wrong with templates, each error at file:line:col.
    ///
    /// Exit code: 0 all are right, 2 something is wrong.
    Check(CheckArgs),
    /// Draw a template's steps and edges.
    Graph(GraphArgs),
    /// Print the JSON Schema of templates, with which an editor completes and checks them.
    Schema,
    /// Tell a template's shape, and the work of one fault-free task.
    Plan(PlanArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The workflow's name: a to z, then a to z, 0 to 9 and _.
    name: String,
    /// The language of the handlers.
    #[arg(long, value_enum, default_value = "rust")]
    language: Language,
    /// What the steps are to one another.
    #[arg(long, value_enum, default_value = "linear")]
    shape: Shape,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Templates, or folders of them (*.yaml and *.yml, subfolders too).
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A worker's registry, as its flag --list-handlers prints it: every handler must be in it.
    /// May be given several times.
    #[arg(long, value_name = "FILE")]
    handlers: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    /// The template.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The language of the drawing.
    #[arg(long, value_enum, default_value = "mermaid")]
    format: GraphFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum GraphFormat {
    Mermaid,
    Dot,
    Svg,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The template.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// What a decision chooses; its first branch when it isn't told. No branch after the = is none.
    /// May be given several times.
    #[arg(long, value_name = "DECISION=BRANCH,…", value_parser = assigned)]
    choose: Vec<(String, String)>,
    /// How many batches a batchable step makes; 1 when it isn't told. May be given several times.
    #[arg(long, value_name = "STEP=N", value_parser = assigned)]
    batches: Vec<(String, String)>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn assigned(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or_else(|| format!("{text:?} has no ="))?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

pub(super) fn run(command: &WorkflowCommand) -> u8 {
    let done = match command {
        WorkflowCommand::New(args) => return new(args),
        WorkflowCommand::Check(args) => check(args),
        WorkflowCommand::Graph(args) => one(&args.path).map(|template| match args.format {
            GraphFormat::Mermaid => drawing::mermaid(&template),
            GraphFormat::Dot => drawing::dot(&template),
            GraphFormat::Svg => drawing::svg(&template),
        }),
        WorkflowCommand::Schema => {
            serde_json::to_string_pretty(&stepmark_workflow::template::schema())
                .map(|schema| schema + "\n")
                .map_err(|error| error.to_string())
        }
        WorkflowCommand::Plan(args) => one(&args.path).and_then(|template| plan(args, &template)),
    };
    match done {
        Ok(text) => {
            print!("{text}");
            GOOD
        }
        Err(problems) => complain(INVALID, &problems),
    }
}

fn new(args: &NewArgs) -> u8 {
    let root = root();
    let draft = Draft::new(&root, &args.name, args.language, args.shape);
    let draft = match draft.and_then(|draft| draft.write(&root).map(|()| draft)) {
        Ok(draft) => draft,
        Err(error @ AuthoringError::Disk { .. }) => return complain(ENVIRONMENT, &error),
        Err(error) => return complain(INVALID, &error),
    };
    for (path, _) in &draft.files {
        println!("new      {}", path.display());
    }
    if let Some((path, _)) = &draft.changed {
        println!("changed  {}", path.display());
    }
    let Draft { full_name, test_command, .. } = &draft;
    println!(
        "\nIts test, its picture and its run on real servers:\n  {test_command}\n  \
         stepmark workflow graph fixtures/workflows/{full_name}.yaml\n  \
         stepmark bench --scenario {full_name}"
    );
    GOOD
}

fn check(args: &CheckArgs) -> Result<String, String> {
    let mut handlers = BTreeSet::new();
    for path in &args.handlers {
        let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        for (number, line) in text.lines().enumerate() {
            let Some((namespace, handler)) = line.split_once('/') else {
                return Err(format!(
                    "{}:{}: not of the form NAMESPACE/HANDLER, as a worker's --list-handlers \
                     prints it",
                    path.display(),
                    number + 1
                ));
            };
            handlers.insert((namespace.to_owned(), handler.to_owned()));
        }
    }
    let mut sources = Vec::new();
    for path in &args.paths {
        collect(path, &mut sources)?;
    }
    let handlers = (!args.handlers.is_empty()).then_some(&handlers);
    let templates = parsed(&sources, handlers)?;
    Ok(match templates.len() {
        1 => "1 template is right\n".to_owned(),
        many => format!("{many} templates are right\n"),
    })
}

/// Every error, and how many there are.
fn parsed(
    sources: &[Source],
    handlers: Option<&BTreeSet<(String, String)>>,
) -> Result<Vec<Template>, String> {
    parse_all(sources, handlers).map_err(|diagnostics| {
        let count = match diagnostics.len() {
            1 => "1 error".to_owned(),
            many => format!("{many} errors"),
        };
        let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        format!("{count}\n{}", lines.join("\n"))
    })
}

fn one(path: &Path) -> Result<Template, String> {
    let templates = parsed(&[read(path)?], None)?;
    templates.into_iter().next().ok_or_else(|| format!("{}: no template", path.display()))
}

fn plan(args: &PlanArgs, template: &Template) -> Result<String, String> {
    let branches = args.choose.iter().map(|(decision, chosen)| {
        let chosen = chosen.split(',').map(str::trim).filter(|branch| !branch.is_empty());
        (decision.clone(), chosen.map(str::to_owned).collect())
    });
    let batches = args.batches.iter().map(|(step, number)| {
        let number = number.parse().map_err(|error| format!("--batches {step}={number}: {error}"));
        Ok((step.clone(), number?))
    });
    let choices =
        Choices { branches: branches.collect(), batches: batches.collect::<Result<_, String>>()? };
    let plan = Plan::of(template, &choices).map_err(|error| error.to_string())?;
    if args.json {
        let json = serde_json::to_string_pretty(&plan).map_err(|error| error.to_string())?;
        return Ok(json + "\n");
    }
    let Plan { steps, steps_skipped, edges, stages, fan_in_max, fan_out_max, .. } = plan;
    let chosen = plan.choices.branches.iter().map(|(decision, branches)| match branches.len() {
        0 => format!("  {decision} chooses nothing\n"),
        _ => format!("  {decision} chooses {}\n", branches.join(", ")),
    });
    let batches = plan.choices.batches.iter();
    let batches = batches.map(|(step, number)| format!("  {step} makes batches: {number}\n"));
    let choices: String = chosen.chain(batches).collect();
    let task = match (plan.task_transitions_min, plan.task_transitions_max) {
        (min, max) if min == max => min.to_string(),
        (min, max) => {
            format!("{min} to at most {max}, as completions are drained together or apart")
        }
    };
    Ok(format!(
        "{}/{} version {}\n{choices}  steps {steps} (skipped {steps_skipped}), edges {edges}, \
         stages {stages}, fan-in up to {fan_in_max}, fan-out up to {fan_out_max}\nOne task, when \
         every step completes at its first attempt:\n  step transitions        {}\n  \
         task transitions        {task}\n  messages{:16}{}\n  dependency evaluations  {}\n",
        template.namespace,
        template.name,
        template.version,
        plan.step_transitions,
        "",
        plan.messages,
        plan.dependency_evaluations
    ))
}

/// A file's text, or that of every template below a folder, in the order of their paths.
fn collect(path: &Path, sources: &mut Vec<Source>) -> Result<(), String> {
    if !path.is_dir() {
        sources.push(read(path)?);
        return Ok(());
    }
    let before = sources.len();
    let mut folders = vec![path.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
            let entry = entry.map_err(|error| unreadable(&folder, &error))?;
            let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?;
            let found = entry.path();
            if kind.is_dir() {
                folders.push(found);
            } else if found.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                files.push(found);
            }
        }
    }
    files.sort();
    for file in files {
        sources.push(read(&file)?);
    }
    if sources.len() == before {
        return Err(format!("{}: no *.yaml or *.yml in this folder", path.display()));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Source, String> {
    let text = File::open(path).and_then(read_bounded).map_err(|error| unreadable(path, &error))?;
    Ok(Source { name: path.display().to_string(), text })
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
