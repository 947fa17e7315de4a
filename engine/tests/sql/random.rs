//! Random graphs, and random picks.

use std::fmt::Write;

use rand::Rng;
use rand::rngs::StdRng;
use stepmark_workflow::Template;

/// A graph without cycles of up to `steps_max` steps, with 1 to 3 attempts a step.
pub fn template(random: &mut StdRng, steps_max: usize) -> Template {
    let steps = random.random_range(1..=steps_max);
    let density = random.random_range(0.0..0.6);
    let mut text = format!("namespace: n\nname: t{}\nsteps:\n", random.random::<u32>());
    for no in 0..steps {
        let parents: Vec<String> = (0..no)
            .filter(|_| random.random_bool(density))
            .map(|parent| format!("s{parent}"))
            .collect();
        let (parents, attempts) = (parents.join(", "), random.random_range(1..=3));
        writeln!(
            text,
            "  - {{name: s{no}, handler: h, depends_on: [{parents}], \
             retry: {{max_attempts: {attempts}}}}}"
        )
        .unwrap();
    }
    Template::parse("random.yaml", &text).unwrap()
}

/// Up to `max` of the items, in any order, some perhaps twice.
pub fn some<T: Clone>(random: &mut StdRng, items: &[T], max: usize) -> Vec<T> {
    if items.is_empty() {
        return Vec::new();
    }
    let count = random.random_range(1..=max);
    (0..count).map(|_| items[random.random_range(0..items.len())].clone()).collect()
}
