//! Random templates with steps of all types.

use std::fmt::Write;

use stepmark_workflow::{StepType, Template};

/// A step to be written.
struct Sketch {
    name: String,
    step_type: StepType,
    parents: Vec<usize>,
    branches: Vec<usize>,
    attempts: usize,
    continues: bool,
}

/// A template of up to `steps_max` steps and their batch workers. `pick(n)` gives a number below n,
/// and 0 for what is simplest.
pub fn template(steps_max: usize, pick: &mut dyn FnMut(usize) -> usize) -> Template {
    let sketches = sketches(steps_max, pick);
    let names = |of: &[usize]| {
        let names: Vec<&str> = of.iter().map(|no| &*sketches[*no].name).collect();
        names.join(", ")
    };
    let mut text = format!("namespace: n\nname: t{}\nsteps:\n", pick(1 << 30));
    for sketch in &sketches {
        let Sketch { name, step_type, attempts, .. } = sketch;
        write!(
            text,
            "  - {{name: {name}, type: {step_type}, handler: h, depends_on: [{}], \
             retry: {{max_attempts: {attempts}}}",
            names(&sketch.parents)
        )
        .unwrap();
        if *step_type == StepType::Decision {
            write!(text, ", branches: [{}]", names(&sketch.branches)).unwrap();
        }
        if *step_type == StepType::BatchWorker && sketch.continues {
            text.push_str(", on_failure: continue_on_failure");
        }
        text.push_str("}\n");
    }
    Template::parse("random.yaml", &text).unwrap_or_else(|all| panic!("{text}{}", all[0]))
}

fn sketches(steps_max: usize, pick: &mut dyn FnMut(usize) -> usize) -> Vec<Sketch> {
    let mut sketches: Vec<Sketch> = Vec::new();
    let sparse = 1 + pick(4);
    for no in 0..1 + pick(steps_max) {
        let mut step_type = match pick(10) {
            0..5 => StepType::Standard,
            5 | 6 => StepType::Decision,
            7 => StepType::Batchable,
            _ => StepType::DeferredConvergence,
        };
        let converges = step_type == StepType::DeferredConvergence;
        let of_branches = converges && pick(3) == 2;
        let mut parents = Vec::new();
        for (earlier, sketch) in sketches.iter().enumerate() {
            let may = converges || sketch.step_type != StepType::BatchWorker;
            // Most workers are waited for, or their convergence would be a rare thing; and some
            // convergences wait for branches only, or none would ever be skipped.
            let odds = if sketch.step_type == StepType::BatchWorker { 2 } else { 1 + sparse };
            let is_branch = sketch
                .parents
                .iter()
                .any(|parent| sketches[*parent].step_type == StepType::Decision);
            let fits = may && (!of_branches || is_branch);
            if fits && pick(odds) == odds - 1 {
                parents.push(earlier);
            }
        }
        if converges && parents.is_empty() {
            step_type = StepType::Standard;
        }
        let (attempts, continues) = (1 + pick(3), pick(2) == 1);
        let name = format!("s{no}");
        sketches.push(Sketch { name, step_type, parents, branches: vec![], attempts, continues });
        if step_type == StepType::Batchable {
            let (name, parents) = (format!("w{no}"), vec![sketches.len() - 1]);
            let step_type = StepType::BatchWorker;
            let branches = vec![];
            sketches.push(Sketch { name, step_type, parents, branches, attempts, continues });
        }
    }
    for no in 0..sketches.len() {
        if sketches[no].step_type != StepType::Decision {
            continue;
        }
        let may = |child: &&usize| {
            let step_type = sketches[**child].step_type;
            sketches[**child].parents.contains(&no) && step_type != StepType::DeferredConvergence
        };
        let children: Vec<usize> = (0..sketches.len()).collect();
        let children: Vec<usize> = children.iter().filter(may).copied().collect();
        let branches: Vec<usize> = children.into_iter().filter(|_| pick(4) != 3).collect();
        if branches.is_empty() {
            sketches[no].step_type = StepType::Standard;
        }
        sketches[no].branches = branches;
    }
    sketches
}
