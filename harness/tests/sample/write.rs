//! Writes a made-up report in every format, for tests of what people look at, or a real one from
//! its `report.json`: `write_report FOLDER [whole|small|old|empty|REPORT.JSON]`.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "mod.rs"]
mod sample;

use std::path::Path;

use stepmark_harness::report::Report;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, which] = &arguments[..] else {
        eprintln!("usage: write_report FOLDER whole|small|old|empty|REPORT.JSON");
        std::process::exit(2);
    };
    let json = match which.as_str() {
        "whole" => sample::whole().to_string(),
        "small" => sample::small().to_string(),
        "old" => sample::old().to_string(),
        "empty" => sample::empty().to_string(),
        path => std::fs::read_to_string(path).unwrap(),
    };
    std::fs::create_dir_all(folder).unwrap();
    Report::parse(&json).unwrap().write(Path::new(folder)).unwrap();
}
