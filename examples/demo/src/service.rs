//! The service itself: a cache, a database, and the three verbs that keep them in agreement.

use std::sync::Arc;
use std::time::Duration;

use cacheado::CacheHandle;

use crate::database::{Database, Error, Row};
use crate::judge::Judge;
use crate::workload::Workload;

/// One service, shared by every thread and task that answers requests.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) cache: CacheHandle<u32, Arc<Row>>,
    pub(crate) database: Arc<Database>,
    pub(crate) judge: Judge,
    pub(crate) workload: Workload,
}

/// How an update tells the cache; both are right, they differ in who pays for the next read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Update {
    /// Put the new row in: the next read is a hit.
    Insert,
    /// Take the old row out: the next read, if there ever is one, loads the new row.
    Remove,
}

impl Service {
    pub(crate) fn start(
        workload: Workload,
        time_to_live: Duration,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let cache = CacheHandle::builder()
            .max_capacity(workload.cache_capacity())
            .time_to_live(time_to_live)
            .build()?;
        Ok(Self {
            cache,
            database: Arc::new(Database::create(workload.rows())?),
            judge: Judge::new(workload.rows(), time_to_live),
            workload,
        })
    }

    /// Reads a row from a thread; callers that miss the same key at once share one database read.
    pub(crate) fn read(&self, key: u32) -> Result<Arc<Row>, Arc<Error>> {
        self.cache.try_get_or_load(&key, || self.database.read(key).map(Arc::new))
    }

    /// Reads a row from a task: the same cache, the same sharing, also with the threads.
    pub(crate) async fn read_async(&self, key: u32) -> Result<Arc<Row>, Arc<Error>> {
        self.cache
            .try_get_or_load_async(&key, async {
                // SQLite blocks its caller, which a task must not do.
                let database = Arc::clone(&self.database);
                tokio::task::spawn_blocking(move || database.read(key))
                    .await
                    .expect("a database read does not panic")
                    .map(Arc::new)
            })
            .await
    }

    /// Updates a row. The order is what matters: first the database, then the cache. A load that
    /// read the old row before the update is beaten by the cache's write, however late it ends;
    /// a load that starts after it finds the new row. The other way round, a load between the two
    /// would put the old row back.
    ///
    /// Updates of one key must not run side by side, or their inserts could change places on the
    /// way from the database to the cache; here all updates come from one thread.
    pub(crate) fn update(&self, key: u32, how: Update) -> Result<u32, Error> {
        let row = Arc::new(self.database.update(key)?);
        let version = row.version;
        match how {
            Update::Insert => {
                self.cache.insert(key, Arc::clone(&row));
                Judge::saw(&row);
            }
            Update::Remove => {
                self.cache.remove(&key);
            }
        }
        // Only now is the update complete, so only now may readers be held to it.
        self.judge.completed(key, version);
        Ok(version)
    }
}
