//! Says what this machine has for private servers:
//! `cargo run -p stepmark-servers --example survey`.

use stepmark_servers::Survey;

fn main() {
    for fact in Survey::take(None).facts() {
        let mark = if fact.good { "ok" } else { "--" };
        println!("{mark} {}: {}", fact.name, fact.found);
        if let Some(remedy) = fact.remedy {
            println!("   {remedy}");
        }
    }
}
