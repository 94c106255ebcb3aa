//! A reader of recorded request traces: gzip files of little-endian `u32` keys in request order.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// Reads the whole trace at `path`.
///
/// # Errors
///
/// When the file cannot be read, is not a complete gzip file of whole keys, or holds no key.
pub fn read(path: &Path) -> Result<Vec<u32>, TraceError> {
    let refuse = |fault| TraceError { path: path.to_path_buf(), fault };
    let packed = fs::read(path).map_err(|error| refuse(Fault::Unreadable(error)))?;
    decode(&packed).map_err(refuse)
}

/// Why a trace was refused; one line that names the file and what is wrong with it.
#[derive(Debug)]
pub struct TraceError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Unreadable(io::Error),
    NotGzip,
    Truncated,
    Corrupt(io::Error),
    PartialKey(usize),
    Empty,
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

fn decode(packed: &[u8]) -> Result<Vec<u32>, Fault> {
    // The decoder reports a foreign file and a short one with the same error, so the difference
    // is made here.
    if !packed.starts_with(&GZIP_MAGIC) {
        return Err(Fault::NotGzip);
    }
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed).read_to_end(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::Truncated,
        _ => Fault::Corrupt(error),
    })?;

    let keys = bytes.chunks_exact(size_of::<u32>());
    if !keys.remainder().is_empty() {
        return Err(Fault::PartialKey(bytes.len()));
    }
    if bytes.is_empty() {
        return Err(Fault::Empty);
    }
    Ok(keys.map(|key| u32::from_le_bytes([key[0], key[1], key[2], key[3]])).collect())
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trace {}: ", self.path.display())?;
        match &self.fault {
            Fault::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Fault::NotGzip => write!(f, "is not a gzip file"),
            Fault::Truncated => write!(f, "is a truncated gzip file"),
            Fault::Corrupt(error) => write!(f, "is a corrupt gzip file: {error}"),
            Fault::PartialKey(bytes) => {
                write!(f, "holds {bytes} bytes, which is no multiple of 4")
            }
            Fault::Empty => write!(f, "holds no requests"),
        }
    }
}

impl Error for TraceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            Fault::Unreadable(error) | Fault::Corrupt(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("a Vec takes every byte");
        encoder.finish().expect("a Vec takes every byte")
    }

    fn refusal(packed: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), packed).expect("the temporary file takes the bytes");
        let message = read(file.path()).expect_err("the trace must be refused").to_string();
        let prefix = format!("trace {}: ", file.path().display());
        assert!(!message.contains('\n'), "{message:?} is more than one line");
        message
            .strip_prefix(&prefix)
            .unwrap_or_else(|| panic!("{message:?} does not name the file"))
            .to_owned()
    }

    #[test]
    fn keys_come_back_in_request_order() {
        let keys = [7_u32, 0, u32::MAX, 7];
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        assert_eq!(decode(&gzip(&bytes)).expect("a whole trace"), keys);
    }

    #[test]
    fn a_trace_of_several_gzip_members_is_one_trace() {
        let packed = [gzip(&1_u32.to_le_bytes()), gzip(&2_u32.to_le_bytes())].concat();
        assert_eq!(decode(&packed).expect("a whole trace"), [1, 2]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let missing = Path::new("no/such/trace.u32.gz");
        let message = read(missing).expect_err("there is no such file").to_string();
        assert!(message.starts_with("trace no/such/trace.u32.gz: cannot be read: "), "{message}");
    }

    #[test]
    fn a_file_that_is_not_gzip_is_refused() {
        assert_eq!(refusal(b"key,size\n1,2\n"), "is not a gzip file");
        assert_eq!(refusal(b""), "is not a gzip file");
    }

    #[test]
    fn a_gzip_file_cut_at_any_byte_is_refused_as_truncated() {
        let whole = gzip(&[1; 64]);
        for length in GZIP_MAGIC.len()..whole.len() {
            assert_eq!(
                refusal(&whole[..length]),
                "is a truncated gzip file",
                "cut at {length} of {}",
                whole.len()
            );
        }
    }

    #[test]
    fn a_damaged_gzip_file_is_refused_as_corrupt() {
        let mut damaged = gzip(&[1; 64]);
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        let message = refusal(&damaged);
        assert!(message.starts_with("is a corrupt gzip file: "), "{message}");
    }

    #[test]
    fn half_a_key_is_refused() {
        assert_eq!(refusal(&gzip(&[0; 6])), "holds 6 bytes, which is no multiple of 4");
    }

    #[test]
    fn an_empty_trace_is_refused() {
        assert_eq!(refusal(&gzip(b"")), "holds no requests");
    }
}
