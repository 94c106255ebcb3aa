//! In which order the subjects of a round work.

use std::thread;
use std::time::Duration;

/// What a cache still does behind its users' backs when a round of its own is over, such as giving memory back, is done in
/// so much time and not at the expense of the next.
const REST: Duration = Duration::from_millis(10);

/// Calls for each of so many subjects, and lets the machine rest after each. The order begins elsewhere in each pair of
/// rounds and goes backwards in the second of the pair: each subject follows its neighbour as often as that follows it.
pub fn take_turns(round: usize, subjects: usize, mut work: impl FnMut(usize)) {
    for at in order(round, subjects) {
        work(at);
        thread::sleep(REST);
    }
}

fn order(round: usize, subjects: usize) -> impl Iterator<Item = usize> {
    (0..subjects).map(move |turn| {
        let turn = if round.is_multiple_of(2) { turn } else { subjects - 1 - turn };
        (round / 2 + turn) % subjects
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn everybody_works_once_a_round_and_follows_as_often_as_is_followed() {
        let subjects = 7;
        let mut follows = BTreeMap::new();
        for round in 0..2 * subjects {
            let order: Vec<_> = order(round, subjects).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..subjects).collect::<Vec<_>>(), "round {round}");
            for pair in order.windows(2) {
                *follows.entry((pair[0], pair[1])).or_insert(0) += 1;
            }
        }
        for (&(one, other), times) in &follows {
            assert_eq!(follows.get(&(other, one)), Some(times), "{one} and {other}");
        }
    }
}
