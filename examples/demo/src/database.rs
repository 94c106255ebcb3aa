//! The SQLite database that the cache protects: rows of text that carry a version, and the settings of the
//! users of some organizations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

pub(crate) use rusqlite::Error;

/// A row of the database, as the cache keeps it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: u32,
    pub(crate) version: u32,
    pub(crate) body: String,
    /// When somebody first saw this copy of the row in the cache; see [`crate::judge`].
    pub(crate) first_seen: OnceLock<Instant>,
}

/// A setting of a user of an organization: it says whose it is.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) organization: String,
    pub(crate) user: u32,
    pub(crate) name: String,
    pub(crate) version: u32,
}

/// A database of `rows` rows in a temporary folder, which goes away with it.
#[derive(Debug)]
pub(crate) struct Database {
    /// A connection belongs to one caller at a time, so that callers do not wait for each other.
    idle: Mutex<Vec<Connection>>,
    reads: AtomicU64,
    folder: TempDir,
}

impl Database {
    pub(crate) fn create(rows: u32) -> Result<Self, Box<dyn std::error::Error>> {
        let database =
            Self { idle: Mutex::default(), reads: AtomicU64::new(0), folder: TempDir::new()? };
        let mut connection = database.connect()?;
        connection.execute_batch(
            // Write-ahead logging lets readers go on while a row is updated.
            "PRAGMA journal_mode = WAL;
             CREATE TABLE profiles (key INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);",
        )?;
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare("INSERT INTO profiles VALUES (?1, 0, ?2)")?;
            for key in 0..rows {
                insert.execute((key, format!("The profile of user number {key}.")))?;
            }
        }
        transaction.commit()?;
        database.give_back(connection);
        Ok(database)
    }

    /// Reads one row; this is the slow work that the cache saves.
    pub(crate) fn read(&self, key: u32) -> Result<Row, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.query("SELECT key, version, body FROM profiles WHERE key = ?1", key)
    }

    /// Advances the version of one row and returns it; once it has, every read that begins finds the new row.
    pub(crate) fn update(&self, key: u32) -> Result<Row, Error> {
        self.query(
            "UPDATE profiles SET version = version + 1 WHERE key = ?1 RETURNING key, version, body",
            key,
        )
    }

    /// How many times [`Database::read`] was called.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Gives each of so many users of each organization one setting of every name.
    pub(crate) fn add_settings(
        &self,
        organizations: &[&str],
        users: u32,
        names: &[&str],
    ) -> Result<(), Error> {
        let mut connection = self.lend()?;
        connection.execute_batch(
            "CREATE TABLE settings (organization TEXT NOT NULL, user INTEGER NOT NULL, name TEXT NOT NULL,
                version INTEGER NOT NULL, PRIMARY KEY (organization, user, name)) WITHOUT ROWID;",
        )?;
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare("INSERT INTO settings VALUES (?1, ?2, ?3, 0)")?;
            for organization in organizations {
                for user in 0..users {
                    for name in names {
                        insert.execute((organization, user, name))?;
                    }
                }
            }
        }
        transaction.commit()?;
        self.give_back(connection);
        Ok(())
    }

    /// Reads one setting.
    pub(crate) fn setting(
        &self,
        organization: &str,
        user: u32,
        name: &str,
    ) -> Result<Setting, Error> {
        const READ: &str = "SELECT organization, user, name, version FROM settings
            WHERE organization = ?1 AND user = ?2 AND name = ?3";
        let connection = self.lend()?;
        let setting =
            connection.prepare_cached(READ)?.query_row((organization, user, name), |columns| {
                Ok(Setting {
                    organization: columns.get(0)?,
                    user: columns.get(1)?,
                    name: columns.get(2)?,
                    version: columns.get(3)?,
                })
            })?;
        self.give_back(connection);
        Ok(setting)
    }

    /// Advances the version of all settings of an organization at once and returns the lowest of them.
    pub(crate) fn renew_settings(&self, organization: &str) -> Result<u32, Error> {
        const LOWEST: &str = "SELECT min(version) FROM settings WHERE organization = ?1";
        let connection = self.lend()?;
        connection
            .prepare_cached("UPDATE settings SET version = version + 1 WHERE organization = ?1")?
            .execute([organization])?;
        let version =
            connection.prepare_cached(LOWEST)?.query_row([organization], |row| row.get(0))?;
        self.give_back(connection);
        Ok(version)
    }

    fn query(&self, statement: &str, key: u32) -> Result<Row, Error> {
        let connection = self.lend()?;
        let row = connection.prepare_cached(statement)?.query_row([key], |columns| {
            Ok(Row {
                key: columns.get(0)?,
                version: columns.get(1)?,
                body: columns.get(2)?,
                first_seen: OnceLock::new(),
            })
        })?;
        self.give_back(connection);
        Ok(row)
    }

    /// A connection that nobody else has, until it is given back.
    fn lend(&self) -> Result<Connection, Error> {
        let idle = self.idle().pop();
        idle.map_or_else(|| self.connect(), Ok)
    }

    fn connect(&self) -> Result<Connection, Error> {
        let connection = Connection::open_with_flags(
            self.folder.path().join("demo.sqlite"),
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        // The database never outlives the run, so nothing is gained by waiting for the disk.
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok(connection)
    }

    fn give_back(&self, connection: Connection) {
        self.idle().push(connection);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A list of connections cannot be left half changed, so a poisoned lock means nothing.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_what_the_next_read_finds() {
        let database = Database::create(10).expect("a database");
        assert_eq!(database.read(3).expect("a row").version, 0);
        assert_eq!(database.update(3).expect("a row").version, 1);
        let row = database.read(3).expect("a row");
        assert_eq!((row.key, row.version), (3, 1));
        assert_eq!(row.body, "The profile of user number 3.");
        assert_eq!(database.read(4).expect("a row").version, 0);
        assert_eq!(database.reads(), 3, "updates are not reads");
    }

    #[test]
    fn a_row_that_does_not_exist_is_an_error() {
        let database = Database::create(1).expect("a database");
        assert!(database.read(1).is_err());
        assert!(database.update(1).is_err());
    }

    #[test]
    fn the_settings_of_one_organization_are_renewed_together() {
        let database = Database::create(1).expect("a database");
        database.add_settings(&["a", "b"], 2, &["x", "y"]).expect("settings");
        assert_eq!(database.renew_settings("a").expect("an organization"), 1);
        let setting = database.setting("a", 1, "y").expect("a setting");
        assert_eq!((&*setting.organization, setting.user, &*setting.name), ("a", 1, "y"));
        assert_eq!(setting.version, 1);
        assert_eq!(database.setting("b", 1, "y").expect("a setting").version, 0);
        assert!(database.setting("a", 2, "y").is_err());
    }

    #[test]
    fn nothing_stays_on_the_disk() {
        let database = Database::create(1).expect("a database");
        let folder = database.folder.path().to_path_buf();
        assert!(folder.join("demo.sqlite").exists());
        drop(database);
        assert!(!folder.exists());
    }
}
