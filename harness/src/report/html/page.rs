//! The page as a whole.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::json;
use super::super::tables::{self, Table};
use super::run::article;
use super::table::{Links, badge, table};
use crate::ladder::Ladder;
use crate::report::Report;

const STYLE: &str = include_str!("style.css");
/// Chart.js, as its package has it: see `chartjs/README.md`.
const CHARTS: &str = include_str!("chartjs/chart.umd.min.js");
/// Parts of one script.
const SCRIPT: [&str; 6] = [
    include_str!("script/theme.js"),
    include_str!("script/samples.js"),
    include_str!("script/waterfall.js"),
    include_str!("script/graph.js"),
    include_str!("script/ladder.js"),
    include_str!("script/choose.js"),
];
/// Nothing is fetched, whatever a text in the report says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

pub(super) fn page(report: &Report) -> Markup {
    let names: Vec<String> =
        report.run_names().into_iter().map(|name| format!("run-{name}")).collect();
    let links = Links(&names);
    let sections = [
        ("highlights", "Highlights", highlights(report, links)),
        ("summary", "Summary", summaries(report, links)),
        ("run", "One run, closely", runs(report, links)),
        ("ladders", "Throughput against latency", ladders(report, links)),
        ("tables", "All figures", all(report, links)),
        ("remarks", "Problems and notes", remarks(report)),
        ("environment", "Where it ran", setting(report)),
    ];
    let sections = sections.into_iter().filter_map(|(id, name, body)| Some((id, name, body?)));
    let sections: Vec<(&str, &str, Markup)> = sections.collect();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "stepmark report of " (report.created_at) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#highlights" { "To the figures" }
                (head(report))
                nav aria-label="Parts of the report" {
                    ul {
                        @for (id, name, _) in &sections {
                            li { a href=(format!("#{id}")) { (name) } }
                        }
                    }
                }
                main {
                    @for (id, name, body) in &sections {
                        section #(id) aria-labelledby=(format!("{id}-name")) {
                            h2 #(format!("{id}-name")) { (name) }
                            (body)
                        }
                    }
                }
                footer {
                    p {
                        "stepmark " (report.stepmark_version) ", revision "
                        (report.git.as_ref().map_or("unknown".to_owned(), |git| git.to_string()))
                        ". Figures in full: report.json, which this page has in it."
                    }
                }
                script #report type="application/json" { (PreEscaped(embedded(report))) }
                script { (PreEscaped(charts())) }
                script { (PreEscaped(script())) }
            }
        }
    }
}

/// The report's JSON, which no browser takes for the end of a script: `<` is in its texts alone.
fn embedded(report: &Report) -> String {
    json::text(report).replace('<', "\\u003c")
}

/// Without the note on its source's map, which a page from one file has no use for.
fn charts() -> &'static str {
    CHARTS.split("\n//# sourceMappingURL=").next().unwrap_or(CHARTS)
}

fn script() -> String {
    format!("(() => {{\n\"use strict\";\n{}}})();\n", SCRIPT.concat())
}

fn head(report: &Report) -> Markup {
    let (status, verdict) = tables::verdict_of_all(report);
    let problems = tables::problems(report);
    let notes = tables::remarks(report).len() - problems.len();
    let machine = &report.machine;
    html! {
        header {
            div.title {
                h1 { "stepmark report" }
                button #theme type="button" hidden aria-pressed="false" { "Dark theme" }
            }
            p.verdict { (badge(status, &html! { (verdict) })) }
            @if !problems.is_empty() {
                ul.remarks {
                    @for problem in problems.iter().take(PROBLEMS_SHOWN_MAX) { li { (problem) } }
                    @if problems.len() > PROBLEMS_SHOWN_MAX {
                        li { a href="#remarks" { "all " (problems.len()) " problems" } }
                    }
                }
            }
            @if notes > 0 {
                p { a href="#remarks" { (notes) @if notes == 1 { " note" } @else { " notes" } }
                    " to be read with the figures" }
            }
            p.note {
                (report.created_at) " · " (machine.cpu) ", " (machine.cores) " cores"
                " · PostgreSQL " (short(&report.environment.postgres.version))
                @if let Some(rabbitmq) = &report.environment.rabbitmq {
                    " · RabbitMQ " (short(&rabbitmq.version))
                }
            }
        }
    }
}

const PROBLEMS_SHOWN_MAX: usize = 4;

/// A version without what its distribution says.
fn short(version: &str) -> &str {
    version.split(' ').next().unwrap_or(version)
}

fn highlights(report: &Report, links: Links<'_>) -> Option<Markup> {
    let tables = tables::highlights(report);
    (!tables.is_empty()).then(|| {
        html! {
            div.highlights {
                @for it in &tables {
                    section.part #(it.id) { h3 { (it.name) } (table(it, links)) }
                }
            }
        }
    })
}

fn summaries(report: &Report, links: Links<'_>) -> Option<Markup> {
    let tables = tables::summaries(report);
    let (first, rest) = tables.split_first()?;
    Some(html! {
        (table(first, links))
        @for it in rest {
            @if it.id == "stages" { (unfolding(it, links)) }
            @else { h3 #(it.id) { (it.name) } (table(it, links)) }
        }
    })
}

fn runs(report: &Report, links: Links<'_>) -> Option<Markup> {
    let choice = |id: &str, name: &str| {
        html! { label for=(id) { (name) } select #(id) {} }
    };
    (!report.runs.is_empty()).then(|| {
        html! {
            form #choice hidden autocomplete="off" {
                div { (choice("scenario", "Scenario")) }
                div { (choice("broker", "Broker")) }
                div { (choice("load", "Cluster and load")) }
            }
            noscript { p.note { "Charts need a script; every table is here without one." } }
            div #runs {
                @for (no, run) in report.runs.iter().enumerate() { (article(no, run, links)) }
            }
        }
    })
}

fn ladders(report: &Report, links: Links<'_>) -> Option<Markup> {
    let rungs = tables::all(report).into_iter().find(|it| it.id == "ladders")?;
    let name = |ladder: &Ladder| {
        format!("{} on {}, {} cluster", ladder.scenario, ladder.broker, ladder.on)
    };
    Some(html! {
        div.pair {
            @for (no, ladder) in report.ladders.iter().enumerate() {
                figure.chart.ladder data-chart="ladder" data-of=(format!("/ladders/{no}")) {
                    figcaption {
                        h3 { (name(ladder)) }
                        p.note { "Open loop, latency from the intended start." }
                    }
                    div.plot {}
                }
            }
        }
        (table(&rungs, links))
    })
}

fn all(report: &Report, links: Links<'_>) -> Option<Markup> {
    let tables: Vec<Table> =
        tables::all(report).into_iter().filter(|it| it.id != "ladders").collect();
    (!tables.is_empty()).then(|| {
        html! {
            @for it in &tables { (unfolding(it, links)) }
        }
    })
}

fn unfolding(it: &Table, links: Links<'_>) -> Markup {
    html! {
        details #(it.id) {
            summary { (it.name) " " span.aside { (it.rows.len()) " rows" } }
            (table(it, links))
        }
    }
}

fn remarks(report: &Report) -> Option<Markup> {
    let remarks = tables::remarks(report);
    let list = html! { ul.remarks { @for remark in &remarks { li { (remark) } } } };
    match remarks.len() {
        0 => None,
        1..=REMARKS_OPEN_MAX => Some(list),
        all => Some(html! { details { summary { (all) " problems and notes" } (list) } }),
    }
}

/// More of them are folded.
const REMARKS_OPEN_MAX: usize = 12;

fn setting(report: &Report) -> Option<Markup> {
    Some(html! {
        dl.setting {
            @for (name, value) in tables::setting(report) { dt { (name) } dd { (value) } }
        }
    })
}
