//! Numbers that are given out once.

use std::{collections::BTreeSet, net::Ipv4Addr, ops::RangeInclusive};

/// The first and the last address Services can have: 10.0.0.0/16 without the network's own and the last one.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 255, 254)];
/// The Service of the API server itself has the first address.
const API_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Below this are addresses that people choose.
const FIRST_GIVEN_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 0);
/// Node ports.
const PORTS: RangeInclusive<u32> = 30_000..=32_767;
/// Below this are ports that people choose.
const FIRST_GIVEN_PORT: u32 = 30_086;

/// Why a number is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Taken,
    OutOfRange,
    Full,
}

/// One range of numbers.
#[derive(Debug)]
pub(super) struct Pool {
    range: RangeInclusive<u32>,
    used: BTreeSet<u32>,
    /// Numbers from here on are given to those who ask for any, the others when these are used up.
    first_given: u32,
    /// The search goes on here, so that a number that comes back is not given again at once.
    next: u32,
}

impl Pool {
    pub(super) fn addresses() -> Self {
        let mut pool = Self::new(ADDRESSES[0].to_bits()..=ADDRESSES[1].to_bits(), FIRST_GIVEN_ADDRESS.to_bits());
        pool.used.insert(API_SERVER.to_bits());
        pool
    }

    pub(super) fn ports() -> Self {
        Self::new(PORTS, FIRST_GIVEN_PORT)
    }

    fn new(range: RangeInclusive<u32>, first_given: u32) -> Self {
        Self { range, used: BTreeSet::new(), first_given, next: first_given }
    }

    pub(super) fn take(&mut self, number: u32) -> Result<u32, Refused> {
        if !self.range.contains(&number) {
            Err(Refused::OutOfRange)
        } else if self.used.insert(number) {
            Ok(number)
        } else {
            Err(Refused::Taken)
        }
    }

    pub(super) fn take_next(&mut self) -> Result<u32, Refused> {
        let (first, last) = (*self.range.start(), *self.range.end());
        let mut candidates = (self.next..=last).chain(self.first_given..self.next).chain(first..self.first_given);
        let free = candidates.find(|number| !self.used.contains(number)).ok_or(Refused::Full)?;
        self.used.insert(free);
        if free >= self.first_given {
            self.next = if free == last { self.first_given } else { free + 1 };
        }
        Ok(free)
    }

    /// What a dry run is told: no number is taken, and who asks for any gets the range's own.
    pub(super) fn offer(&self, asked: Option<u32>) -> Result<u32, Refused> {
        match asked {
            Some(number) if !self.range.contains(&number) => Err(Refused::OutOfRange),
            Some(number) => Ok(number),
            None => Ok(self.range.start() - 1),
        }
    }

    pub(super) fn has(&self, number: u32) -> bool {
        self.used.contains(&number)
    }

    pub(super) fn release(&mut self, number: u32) {
        self.used.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_given_once() {
        let mut pool = Pool::new(1..=5, 3);
        assert_eq!((pool.take(4), pool.take(4), pool.take(6)), (Ok(4), Err(Refused::Taken), Err(Refused::OutOfRange)));
        assert_eq!([(); 4].map(|()| pool.take_next()), [Ok(3), Ok(5), Ok(1), Ok(2)]);
        assert_eq!(pool.take_next(), Err(Refused::Full));
        pool.release(5);
        pool.release(3);
        assert_eq!(pool.take_next(), Ok(3));
        pool.release(3);
        assert_eq!(pool.take_next(), Ok(5), "what came back last waits its turn");
    }
}
