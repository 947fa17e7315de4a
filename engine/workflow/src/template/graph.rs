//! Paths and cycles among steps, given each step's parents by number.

/// Each step's level: 0 without parents, else one more than its highest parent. `None` for a step
/// on a cycle or behind one.
#[must_use]
pub fn levels(parents: &[&[usize]]) -> Vec<Option<usize>> {
    let mut children = vec![Vec::new(); parents.len()];
    let mut remaining: Vec<usize> = parents.iter().map(|of| of.len()).collect();
    for (child, of) in parents.iter().enumerate() {
        for &parent in *of {
            children[parent].push(child);
        }
    }
    let mut highest = vec![0; parents.len()];
    let mut levels = vec![None; parents.len()];
    let mut ready: Vec<usize> = (0..parents.len()).filter(|&step| remaining[step] == 0).collect();
    while let Some(step) = ready.pop() {
        let level: usize = highest[step];
        levels[step] = Some(level);
        for &child in &children[step] {
            highest[child] = highest[child].max(level + 1);
            remaining[child] -= 1;
            if remaining[child] == 0 {
                ready.push(child);
            }
        }
    }
    levels
}

/// A cycle, as the steps on it: each is a parent of the next, and the last of the first.
pub(super) struct Cycle {
    /// The steps' numbers, in the order in which they would run.
    pub steps: Vec<usize>,
    /// The place, in the second step's parents (the first's, for a cycle of one), of the first.
    pub parent_place: usize,
}

/// At least one cycle of every knot of steps that wait for each other, and none without a step
/// that the earlier ones don't name.
pub(super) fn cycles(parents: &[&[usize]]) -> Vec<Cycle> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnPath,
        Done,
    }
    let mut seen = vec![Seen::No; parents.len()];
    let mut named = vec![false; parents.len()];
    let mut cycles = Vec::new();
    // Depth first from child to parent, on a path of our own: 10,000 steps are too deep to recurse.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..parents.len() {
        if seen[start] == Seen::No {
            seen[start] = Seen::OnPath;
            path.push((start, 0));
        }
        while let Some((step, place)) = path.last_mut() {
            let (child, parent_place) = (*step, *place);
            let Some(&parent) = parents[child].get(parent_place) else {
                seen[child] = Seen::Done;
                path.pop();
                continue;
            };
            *place += 1;
            match seen[parent] {
                Seen::Done => {}
                Seen::No => {
                    seen[parent] = Seen::OnPath;
                    path.push((parent, 0));
                }
                Seen::OnPath if named[child] && named[parent] => {}
                Seen::OnPath => {
                    let from = path.iter().position(|(step, _)| *step == parent).unwrap_or(0);
                    let steps: Vec<usize> = std::iter::once(parent)
                        .chain(path[from + 1..].iter().rev().map(|(step, _)| *step))
                        .collect();
                    steps.iter().for_each(|&step| named[step] = true);
                    cycles.push(Cycle { steps, parent_place });
                }
            }
        }
    }
    cycles
}
