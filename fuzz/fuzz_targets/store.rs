//! The store against its slow oracle: every byte string is a list of operations, the store is validated
//! and compared after each of them.
//!
//! The store's sources are mounted here, file for file: the library keeps it to itself.
#![no_main]

#[path = "../../src/store/mod.rs"]
mod store;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use store::oracle::{self, Op};

/// A tick of the store's timers, in nanoseconds.
const TICK: u64 = 1 << 20;
/// The oracle takes time that grows with the square of this.
const MOST: usize = 1_000;

fuzz_target!(|case: Case| oracle::run(case.tick_every, &case.ops));

#[derive(Debug)]
struct Case {
    tick_every: u32,
    ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let tick_every = bytes.int_in_range(1..=20)?;
        let mut ops = Vec::new();
        while !bytes.is_empty() && ops.len() < MOST {
            ops.push(op(bytes)?);
        }
        Ok(Self { tick_every, ops })
    }
}

fn op(bytes: &mut Unstructured<'_>) -> Result<Op> {
    Ok(match bytes.int_in_range(0..=11_u8)? {
        0 => Op::Insert { weight: 1, ttl: None, lag: 0, late: 0 },
        1 => Op::Insert { weight: 1, ttl: Some(nanos(bytes)?), lag: 0, late: 0 },
        2 => Op::Insert {
            weight: bytes.arbitrary::<u8>()?.into(),
            ttl: bytes.ratio(1, 2)?.then(|| nanos(bytes)).transpose()?,
            lag: bytes.arbitrary::<u8>()?.into(),
            late: nanos(bytes)?,
        },
        3 => Op::Replace { pick: pick(bytes)?, weight: 1, ttl: None },
        4 => Op::Replace {
            pick: pick(bytes)?,
            weight: bytes.arbitrary::<u8>()?.into(),
            ttl: Some(nanos(bytes)?),
        },
        5 => Op::Remove { pick: pick(bytes)? },
        6 => Op::Age { insertions: u32::from(bytes.arbitrary::<u8>()?) * 2 },
        7 => Op::Read { pick: pick(bytes)? },
        8 => Op::ReadAll,
        9 => Op::Prolong { pick: pick(bytes)?, by: nanos(bytes)? },
        10 => Op::Evict,
        _ => Op::Expire { after: nanos(bytes)?, budget: bytes.int_in_range(1..=40)? },
    })
}

fn pick(bytes: &mut Unstructured<'_>) -> Result<usize> {
    Ok(bytes.arbitrary::<u8>()?.into())
}

/// Up to beyond the horizon of the timers, close to where their wheel turns. So short that the sum of a
/// whole case does not overflow.
fn nanos(bytes: &mut Unstructured<'_>) -> Result<u64> {
    let slots = u64::from(bytes.arbitrary::<u8>()?);
    let slot = TICK << bytes.int_in_range(0..=24_u32)?;
    let off = i64::from(bytes.arbitrary::<i8>()?) * (TICK as i64 / 2);
    Ok((slots * slot).saturating_add_signed(off))
}
