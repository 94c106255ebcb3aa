//! The cache's public surface against its slow oracle: every byte string is a choice of settings and a
//! list of operations, and each answer is judged.
#![no_main]

#[path = "../../tests/model/oracle/mod.rs"]
mod oracle;
#[expect(
    dead_code,
    unused_imports,
    reason = "shared with the behaviour tests, which use more of it"
)]
#[path = "../../tests/support/mod.rs"]
mod support;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use oracle::{Key, Op, Settings};

const MOST: usize = 500;

fuzz_target!(|case: Case| oracle::run(case.settings, &case.ops));

#[derive(Debug)]
struct Case {
    settings: Settings,
    ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let settings = settings(bytes)?;
        let keys = *bytes.choose(&[1, 2, 3, 4, 6, 8, 12, 40])?;
        let mut ops = Vec::new();
        while !bytes.is_empty() && ops.len() < MOST {
            ops.push(op(bytes, keys)?);
        }
        Ok(Self { settings, ops })
    }
}

fn settings(bytes: &mut Unstructured<'_>) -> Result<Settings> {
    fn maybe<T>(value: Result<T>, given: bool) -> Result<Option<T>> {
        value.map(|value| given.then_some(value))
    }
    let given = bytes.arbitrary::<u8>()?;
    let given = |bit: u8| given >> bit & 1 != 0;
    Ok(Settings {
        // Seldom many: each is a thread to be started and ended for every case.
        shards: *bytes.choose(&[1, 1, 1, 2, 4])?,
        backlog: maybe(bytes.int_in_range(1..=40), given(0))?,
        ttl: maybe(bytes.int_in_range(4..=8), given(1))?,
        tti: maybe(bytes.int_in_range(1..=3), given(2))?,
        capacity: maybe(bytes.int_in_range(1..=60), given(3))?,
        weighed: given(4),
    })
}

fn op(bytes: &mut Unstructured<'_>, keys: u8) -> Result<Op> {
    let which = bytes.int_in_range(0..=23_u8)?;
    Ok(match which {
        0 => Op::Insert { key: key(bytes, keys)?, weight: bytes.int_in_range(0..=15)? },
        1 => Op::TryInsert { key: key(bytes, keys)?, weight: bytes.int_in_range(0..=15)? },
        2 => Op::InsertWithTtl { key: key(bytes, keys)?, units: bytes.int_in_range(0..=7)? },
        3 => Op::Remove { key: key(bytes, keys)? },
        4 => Op::Get { key: key(bytes, keys)? },
        5 => Op::Read { key: key(bytes, keys)? },
        6 => Op::Pin { key: key(bytes, keys)? },
        7 => Op::Peek { key: key(bytes, keys)? },
        8 => Op::Contains { key: key(bytes, keys)? },
        9 => Op::Load { key: key(bytes, keys)? },
        10 => Op::LoadAsync { key: key(bytes, keys)? },
        11 => Op::FailToLoad { key: key(bytes, keys)? },
        12 => Op::FailToLoadAsync { key: key(bytes, keys)? },
        13 => Op::Advance { units: bytes.int_in_range(1..=4)? },
        14 => Op::Clear,
        15 => Op::Flush,
        16 => Op::Entries,
        17 => Op::Begin { key: key(bytes, keys)? },
        18 => Op::Deliver { pick: bytes.arbitrary()?, weight: bytes.int_in_range(0..=15)? },
        19 => Op::Fail { pick: bytes.arbitrary()? },
        20 => Op::Cancel { pick: bytes.arbitrary()? },
        21 => Op::Poll { pick: bytes.arbitrary()? },
        22 => Op::Hold { key: key(bytes, keys)?, steps: bytes.arbitrary()? },
        _ => Op::Clone,
    })
}

fn key(bytes: &mut Unstructured<'_>, keys: u8) -> Result<Key> {
    Ok(Key(bytes.arbitrary::<u8>()? % keys))
}
