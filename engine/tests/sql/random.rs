//! Random picks.

use rand::Rng;
use rand::rngs::StdRng;

/// Up to `max` of the items, in any order, some perhaps twice.
pub fn some<T: Clone>(random: &mut StdRng, items: &[T], max: usize) -> Vec<T> {
    if items.is_empty() {
        return Vec::new();
    }
    let count = random.random_range(1..=max);
    (0..count).map(|_| items[random.random_range(0..items.len())].clone()).collect()
}
