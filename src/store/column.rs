//! A value for each slot that costs nothing while every slot has the usual one.
//!
//! *Owns* the values of slots. *Does not know* which slots are occupied.
//!
//! *Invariant:* slots above all that ever had another value have no memory here and the usual value.

use super::Slot;

/// One `T` a slot, beside the nodes: what most stores need of no entry would cost all of them if it
/// were in the nodes.
pub(crate) struct Column<T> {
    usual: T,
    values: Vec<T>,
}

impl<T: Copy + PartialEq> Column<T> {
    /// A column in which every slot has the `usual` value. Allocates nothing.
    pub(crate) const fn new(usual: T) -> Self {
        Self { usual, values: Vec::new() }
    }

    pub(crate) fn get(&self, slot: Slot) -> T {
        self.values.get(slot as usize).copied().unwrap_or(self.usual)
    }

    pub(crate) fn set(&mut self, slot: Slot, value: T) {
        let at = slot as usize;
        if let Some(place) = self.values.get_mut(at) {
            *place = value;
        } else if value != self.usual {
            let missing = at + 1 - self.values.len();
            if self.values.capacity() - self.values.len() < missing {
                self.values.reserve_exact(missing.max(growth(self.values.len())));
            }
            self.values.resize(at, self.usual);
            self.values.push(value);
        }
    }

    /// What the slots have that have memory.
    #[cfg(any(test, cache_fuzz))]
    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }
}

/// By how many places what is full should grow when it holds `full` values: by an eighth. Doubling
/// leaves up to half of the memory empty; this leaves a ninth, and copies at most eight values for each
/// one that comes.
pub(crate) fn growth(full: usize) -> usize {
    (full / 8).max(16)
}

#[cfg(test)]
mod tests {
    use super::Column;

    #[test]
    fn a_column_grows_by_an_eighth_and_when_it_is_full() {
        let mut column = Column::new(1);
        for slot in 0..5000 {
            let full = column.values.len();
            let room = column.values.capacity();
            column.set(slot, 2);
            let more = if full == room { (full / 8).max(16) } else { 0 };
            assert_eq!(column.values.capacity(), room + more, "{full} values had room for {room}");
        }
        column.set(100_000, 2);
        assert_eq!([column.get(4999), column.get(5000), column.get(100_000)], [2, 1, 2]);
        assert!(column.values.capacity() <= 100_001 / 8 * 9);
    }
}
