//! A clock that jumps: by nothing, by a nanosecond, by centuries, to the end of time.

use crate::report::{Dice, Row, times};
use crate::support::{Ledger, bounded, eventually, flush, timed};
use std::collections::HashMap;
use std::time::Duration;

/// Where the clock stops: 584 years.
const END: u64 = u64::MAX;

#[test]
fn the_clock_jumps() {
    bounded(|| {
        let (mut dice, ledger) = (Dice::new(3), Ledger::new());
        let (clock, builder) = timed(2);
        let cache = builder.max_capacity(1_000_000).build().expect("valid");
        let mut now = 0_u64;
        let mut deadlines: HashMap<u64, u64> = HashMap::new();
        let (mut wrong, mut reads) = (0_u64, 0_u64);
        let jumps = times(10_000);
        for jump in 0..jumps {
            let key = dice.below(200);
            let live = Duration::from_nanos(1 << dice.below(63));
            cache.insert_with_ttl(key, ledger.value(jump), live);
            deadlines.insert(key, deadline(now, live));
            let step = match dice.below(1_000) {
                0 => Duration::from_secs(3_600 * 24 * 365),
                1..300 => Duration::ZERO,
                // Small ones by far the most often, so that the end of time is not reached at once.
                _ => Duration::from_nanos(1 << dice.below(47)),
            };
            clock.advance(step);
            now = now.saturating_add(u64::try_from(step.as_nanos()).unwrap_or(u64::MAX));
            for key in [key, dice.below(200)] {
                let is_due = deadlines.get(&key).is_none_or(|deadline| *deadline <= now);
                reads += 1;
                wrong += u64::from(cache.get(&key).is_some() == is_due);
            }
            if jump % 100 == 0 {
                flush(&cache);
            }
        }
        assert!(now < END, "the clock has not stopped before the last jump");
        clock.advance(Duration::MAX);
        wrong += (0..200).filter(|key| cache.contains_key(key)).count() as u64;
        // At the end of time nothing that can expire lives, and what cannot does.
        cache.insert_with_ttl(1, ledger.value(1), Duration::MAX);
        cache.insert(2, ledger.value(2));
        wrong += u64::from(cache.contains_key(&1)) + u64::from(!cache.contains_key(&2));
        eventually("what has expired is taken out", || cache.len() == 1);
        flush(&cache);
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "the clock jumps, up to the end of time",
            injected: jumps + 1,
            lost: wrong,
            outcome: format!("{reads} reads: nothing expired is served, nothing live is missed"),
        }
        .report(the_clock_jumps);
    });
}

fn deadline(now: u64, live: Duration) -> u64 {
    let live = u64::try_from(live.as_nanos()).unwrap_or(u64::MAX);
    now.saturating_add(live).min(END - 1)
}
