//! Durations as people write them: what is kept is there until the last nanosecond of each, and no longer.
use cacheado::testing::ManualClock;
use cacheado::{Error, SharedCache, memoize};
use std::time::Duration;

struct Timed {
    cache: SharedCache,
    clock: ManualClock,
}

impl Timed {
    fn new() -> Result<Self, Error> {
        let clock = ManualClock::new();
        Ok(Self { cache: SharedCache::builder().clock(clock.clock()).build()?, clock })
    }

    #[memoize(cache = self.cache, ttl = "300s")]
    fn seconds(&self) {}

    #[memoize(cache = self.cache, ttl = "5m")]
    fn minutes(&self) {}

    #[memoize(cache = self.cache, ttl = "1h30m")]
    fn hours_and_minutes(&self) {}

    #[memoize(cache = self.cache, ttl = "1h 30m")]
    fn apart(&self) {}

    #[memoize(cache = self.cache, ttl = "2 days")]
    fn days(&self) {}

    #[memoize(cache = self.cache, ttl = "1s 250ms")]
    fn milliseconds(&self) {}

    #[memoize(cache = self.cache, ttl = Duration::from_secs(7))]
    fn expression(&self) {}
}

type Call = fn(&Timed);
type Peek = fn(&Timed) -> Result<Option<()>, Error>;

fn main() -> Result<(), Error> {
    let functions: [(Call, Peek, u64); 7] = [
        (Timed::seconds, Timed::seconds_peek, 300_000),
        (Timed::minutes, Timed::minutes_peek, 300_000),
        (Timed::hours_and_minutes, Timed::hours_and_minutes_peek, 5_400_000),
        (Timed::apart, Timed::apart_peek, 5_400_000),
        (Timed::days, Timed::days_peek, 172_800_000),
        (Timed::milliseconds, Timed::milliseconds_peek, 1_250),
        (Timed::expression, Timed::expression_peek, 7_000),
    ];
    for (call, peek, millis) in functions {
        let timed = Timed::new()?;
        call(&timed);
        timed.clock.advance(Duration::from_millis(millis) - Duration::from_nanos(1));
        assert_eq!(peek(&timed)?, Some(()), "{millis} ms, less a nanosecond");
        timed.clock.advance(Duration::from_nanos(1));
        assert_eq!(peek(&timed)?, None, "{millis} ms");
    }
    Ok(())
}
