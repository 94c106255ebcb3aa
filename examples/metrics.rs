//! Figures: of the cache, of each function in it and of each tenant, exact after a flush.
#![expect(clippy::print_stdout, reason = "printing is what an example is for")]

use cacheado::{Error, ScopeFigure, SharedCache, memoize};

#[memoize(cache = cache, scope(organization = org_id), key = page)]
fn report(cache: &SharedCache, org_id: &str, page: u64) -> Result<String, Error> {
    Ok(format!("page {page} of {org_id}"))
}

#[memoize(cache = cache)]
fn exchange_rate(cache: &SharedCache, currency: &str) -> u64 {
    currency.len() as u64
}

fn main() -> Result<(), Error> {
    let cache = SharedCache::builder().max_capacity(100).build()?;
    for _ in 0..4 {
        report(&cache, "acme", 1)?;
        report(&cache, "acme", 2)?;
        report(&cache, "globex", 1)?;
        exchange_rate(&cache, "EUR");
    }
    cache.flush().wait()?;
    let stats = cache.stats();
    assert_eq!((stats.hits(), stats.misses(), stats.len()), (12, 4, 4));
    assert_eq!(stats.hit_ratio(), 0.75);
    let said = "{\"hits\": 12, \"misses\": 4, \"loads\": 4, \"evictions\": 0, \"expirations\": 0, \
                \"current_size\": 4, \"hit_rate\": \"75.0%\"}";
    assert_eq!(stats.to_string(), said);
    println!("the cache: {stats:#}");

    let reports = report_namespace(&cache)?.stats();
    assert_eq!((reports.hits(), reports.misses(), reports.len()), (9, 3, 3));
    println!("report(): {} hits, {} misses", reports.hits(), reports.misses());

    let busiest = cache.top_scopes(1, ScopeFigure::Hits).wait()?;
    assert_eq!(busiest[0].path().to_string(), "organization=acme");
    assert_eq!((busiest[0].own().hits(), busiest[0].own().misses()), (6, 2));
    println!("the busiest scope: {}, {} hits", busiest[0].path(), busiest[0].own().hits());

    // 96 of these fit beside the four, the others push something out.
    for n in 0..150_u32 {
        cache.namespace("numbers")?.insert(n, n);
    }
    cache.flush().wait()?;
    assert_eq!((cache.stats().len(), cache.stats().evictions()), (100, 54));
    println!("full: {}", cache.stats());
    Ok(())
}
