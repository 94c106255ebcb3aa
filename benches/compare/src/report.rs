//! Where results go: a table for people on standard output, lines of JSON for programs.

use crate::aims::{Aim, Aims};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Prints, and keeps the lines of JSON.
#[derive(Debug)]
pub struct Report {
    file: File,
    aims: Aims,
}

impl Report {
    /// Appends to a file, whose folder is made.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, aims: Aims::default() })
    }

    /// Prints a line.
    #[expect(clippy::print_stdout, reason = "the program's output")]
    pub fn say(&self, line: impl AsRef<str>) {
        println!("{}", line.as_ref().trim_end());
    }

    /// Keeps a result as a line of JSON.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn keep(&mut self, result: &Value) -> io::Result<()> {
        writeln!(self.file, "{result}")
    }

    /// Notes what a row came to, for the end.
    pub fn aim(&mut self, aim: Aim, reached: f64) {
        self.aims.note(aim, reached);
    }

    /// Prints and keeps which aims were reached.
    ///
    /// # Errors
    ///
    /// If they cannot be kept.
    pub fn conclude(mut self) -> io::Result<()> {
        self.aims.lines().iter().for_each(|line| self.say(line));
        let aims: Vec<_> = self.aims.json().collect();
        aims.iter().try_for_each(|aim| self.keep(aim))
    }
}
