//! Where a task's time goes, and reports made anew.

use std::fs;

use crate::program::{bench, stepmark};

#[test]
fn a_report_is_made_anew_from_its_raw_data() {
    let finished = bench("made_anew", "").output();
    let folder = finished.folder.join("report");
    let before = fs::read_to_string(folder.join("report.json")).unwrap();
    let files = || -> Vec<_> {
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let all = files();
    fs::remove_file(folder.join("report.md")).unwrap();
    let mut program = stepmark("made_anew_by");
    program.command.arg("report").arg(&folder);
    let again = program.output();
    assert_eq!(again.code, finished.code, "{again:?}");
    assert_eq!(fs::read_to_string(folder.join("report.json")).unwrap(), before);
    assert_eq!(files(), all);
    // Without raw data there is nothing to tell.
    fs::remove_dir_all(folder.join("raw")).unwrap();
    let mut program = stepmark("made_anew_of_nothing");
    program.command.arg("report").arg(&folder);
    let none = program.output();
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("raw"), "{}", none.stderr);
}

#[test]
fn the_time_of_every_task_is_told_segment_by_segment() {
    let finished = bench("segments", "").output();
    let breakdown = &finished.run()["breakdown"];
    assert!(breakdown["sums_within_2_percent"].as_f64().unwrap() >= 0.99, "{breakdown}");
    assert_eq!(breakdown["tasks"], 200);
    let steps = breakdown["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 4, "{breakdown}");
    assert_eq!(steps[3]["parents"], serde_json::json!(["linear_step_3"]));
    assert_eq!(breakdown["waterfalls"].as_array().unwrap().len(), 2);
}
