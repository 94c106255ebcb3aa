//! The command line: what to replay and for how long.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "usage: demo [--trace PATH] [--seconds N]";

/// What the user asked for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) trace: Option<PathBuf>,
    pub(crate) duration: Duration,
}

impl Options {
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = OsString>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut options = Self { trace: None, duration: Duration::from_secs(10) };
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--trace") => {
                    let path = arguments.next().ok_or("--trace needs a path")?;
                    options.trace = Some(path.into());
                }
                Some("--seconds") => {
                    let seconds = arguments
                        .next()
                        .and_then(|seconds| seconds.to_str()?.parse().ok())
                        .filter(|seconds| (1..=86_400).contains(seconds))
                        .ok_or("--seconds needs a whole number from 1 to 86400")?;
                    options.duration = Duration::from_secs(seconds);
                }
                _ => {
                    let argument = argument.to_string_lossy();
                    return Err(format!("unknown argument {argument}; {USAGE}").into());
                }
            }
        }
        Ok(options)
    }

    /// How long the service is under load as a whole.
    pub(crate) fn traffic(&self) -> Duration {
        self.duration - self.tenants()
    }

    /// How long its tenants are: a fifth of the time.
    pub(crate) fn tenants(&self) -> Duration {
        self.duration / 5
    }

    /// Two seconds, or less in a short run: entries have to expire several times while it lasts.
    pub(crate) fn time_to_live(&self) -> Duration {
        (self.traffic() / 4).clamp(Duration::from_millis(500), Duration::from_secs(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        Options::parse(arguments.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_are_understood_in_any_order() {
        let options = parse(&["--seconds", "3", "--trace", "a.gz"]).expect("good arguments");
        assert_eq!(options.duration, Duration::from_secs(3));
        assert_eq!(options.trace, Some(PathBuf::from("a.gz")));
        let options = parse(&[]).expect("no arguments");
        assert_eq!(options.trace, None);
        assert_eq!(options.traffic() + options.tenants(), Duration::from_secs(10));
    }

    #[test]
    fn wrong_arguments_are_named() {
        let refusal = |arguments| parse(arguments).expect_err("wrong arguments");
        assert_eq!(refusal(&["--trace"]), "--trace needs a path");
        for seconds in [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "x"]] {
            assert!(refusal(seconds).starts_with("--seconds needs"));
        }
        assert!(refusal(&["--fast"]).starts_with("unknown argument --fast; usage"));
    }
}
