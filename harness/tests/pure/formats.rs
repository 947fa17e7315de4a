use serde_json::Value;
use stepmark_harness::report::{
    Csv, Format, Html, Json, Junit, Markdown, OpenMetrics, Report, ReportError, Terminal,
};

use crate::sample;

fn read(report: &Value) -> Report {
    Report::parse(&report.to_string()).unwrap()
}

#[test]
fn a_small_report_reads_well_in_every_format() {
    let report = read(&sample::small());
    insta::assert_snapshot!("small.txt", Terminal.render(&report));
    insta::assert_snapshot!("small.md", Markdown.render(&report));
    insta::assert_snapshot!("small.csv", Csv.render(&report));
    insta::assert_snapshot!("small.junit.xml", Junit.render(&report));
    insta::assert_snapshot!("small.prom", OpenMetrics.render(&report));
}

#[test]
fn what_is_wrong_stands_first_and_unfolded() {
    let text = Markdown.render(&read(&sample::whole()));
    let (open, folded) = text.split_once("<details>").unwrap();
    assert!(open.starts_with("## ❌ 36 runs: 1 invalid, 1 incomplete, 2 over budget\n"), "{open}");
    assert!(
        open.contains("linear\\_rust on pgmq, cluster ten: budget broken: sql\\_statements"),
        "{open}"
    );
    assert!(open.contains("| hierarchical\\_tree\\_rust | 2 | pgmq |"), "{open}");
    assert!(!open.contains("<script>") && !folded.contains("<script>"));
    for (begin, end) in [("<details>", "</details>"), ("<summary>", "</summary>")] {
        assert_eq!(text.matches(begin).count(), text.matches(end).count());
    }
}

#[test]
fn a_comment_is_never_too_long_for_a_pull_request() {
    let mut report = sample::whole();
    let runs = report["runs"].as_array_mut().unwrap();
    runs.extend(runs.clone());
    let text = Markdown.render(&read(&report));
    assert!(text.chars().count() < 65_536, "{}", text.chars().count());
    assert!(text.contains("\nToo long for a comment, see report.html: "));
    assert!(text.contains("<summary>Where it ran</summary>"));
}

#[test]
fn tables_without_a_figure_in_a_column_do_without_it() {
    let new = Markdown.render(&read(&sample::small()));
    let old = Markdown.render(&read(&sample::old()));
    for name in ["× own floor", "slowest on pgmq", "Where the time goes", "Rate ladders"] {
        assert!(new.contains(name) && !old.contains(name), "{name}");
    }
}

#[test]
fn an_open_loop_tells_the_rate_that_was_offered_and_marks_one_that_fell_short() {
    let text = Terminal.render(&read(&sample::whole()));
    let row = |load: &str| text.lines().find(|line| line.contains(load)).unwrap().to_owned();
    let cells = |load: &str| -> Vec<String> {
        row(load).split('┆').map(|cell| cell.trim().to_owned()).collect()
    };
    assert!(cells("Poisson, 50/s").contains(&"50.0".to_owned()), "{}", row("Poisson, 50/s"));
    assert!(row("fixed, 2000/s").contains("1400.0 (SHORT of 2000)"), "{}", row("fixed, 2000/s"));
}

#[test]
fn the_knee_of_a_ladder_is_marked_at_the_rate_that_was_asked_for() {
    let text = Terminal.render(&read(&sample::small()));
    let marked: Vec<&str> = text.lines().filter(|line| line.contains("the knee ")).collect();
    let row = marked.iter().find(|line| line.contains('┆')).unwrap();
    assert!(row.contains("┆ 800.0"), "{row}");
}

#[test]
fn multiples_of_a_floor_that_drifted_are_marked_wherever_they_stand() {
    let mut report = sample::small();
    let steady = Terminal.render(&read(&report));
    assert!(steady.contains("× own floor") && !steady.contains("(drifted)"), "{steady}");
    report["runs"][0]["floor"]["drifted"] = serde_json::json!(true);
    let multiple = report["runs"][0]["own_floor"]["p50_ratio"].as_f64().unwrap();
    let marked = format!("{multiple:.2} (drifted)");
    let (text, markdown) = (Terminal.render(&read(&report)), Markdown.render(&read(&report)));
    assert!(text.contains(&marked), "{text}");
    assert!(markdown.contains(&marked) && markdown.contains("drifted: the commits of one round"));
    let page = Html.render(&read(&report));
    let mark =
        format!("own_floor.p50_ratio\">{multiple:.2}</data> <span class=\"aside\">(drifted)");
    assert_eq!(page.matches(&mark).count(), 3, "in the summary, of latency, of the run");
}

#[test]
fn work_of_samples_of_several_tasks_is_told_to_be_of_all_of_them() {
    let mut report = sample::small();
    let one = Html.render(&read(&report));
    assert!(one.contains("work a task") && !one.contains("of a sample"));
    let runs = report["runs"].as_array_mut().unwrap();
    runs.extend(runs.clone());
    let names: Vec<String> = runs
        .iter_mut()
        .map(|run| {
            run["tasks_a_sample"] = serde_json::json!(2);
            run["scenario"].as_str().unwrap().to_owned()
        })
        .collect();
    let (page, text) = (Html.render(&read(&report)), Terminal.render(&read(&report)));
    assert!(page.contains("work a sample of 2 tasks at once") && !page.contains("work a task"));
    for name in names {
        let note = format!("{name}: of all 2 tasks of a sample");
        assert_eq!(text.matches(&note).count(), 1, "{note}");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = Html.render(&read(&sample::whole()));
    // Chart.js has its own address and that of its documents in comments and messages.
    let before = page.split("<script>").next().unwrap();
    for word in ["src=", "http:", "https:", "@import", "url("] {
        assert!(!before.contains(word), "{word}");
    }
    assert_eq!(page.matches("</script>").count(), 3, "a text of the report has ended a script");
}

#[test]
fn a_report_of_another_version_or_none_is_refused() {
    let mut report = sample::small();
    report["schema_version"] = serde_json::json!(2);
    let refused = Report::parse(&report.to_string());
    assert!(matches!(refused, Err(ReportError::Version(2))));
    let refused = Report::parse("{}").unwrap_err().to_string();
    assert!(refused.starts_with("this is no report of stepmark: missing field"), "{refused}");
}

#[test]
fn every_format_has_a_file_of_its_own() {
    let folder = std::env::temp_dir().join(format!("stepmark-formats-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    read(&sample::empty()).write(&folder).unwrap();
    let names = std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    let expected =
        ["junit.xml", "report.csv", "report.html", "report.json", "report.md", "report.prom"];
    assert_eq!(names, expected);
    let json = std::fs::read_to_string(folder.join("report.json")).unwrap();
    assert_eq!(json, Json.render(&read(&sample::empty())));
    std::fs::remove_dir_all(&folder).unwrap();
}
