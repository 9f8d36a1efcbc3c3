//! Chance from a printed seed: the same seed gives the same kills.
//!
//! In: a seed from `TIER0_KILLS_SEED`, or the clock. Out: numbers (SplitMix64, S. Vigna).

use std::time::Duration;

/// The state of a stream of numbers.
pub(crate) struct Draw(pub(crate) u64);

/// The seed that was asked for, or one of the clock.
pub(crate) fn seed() -> u64 {
    if let Ok(text) = std::env::var("TIER0_KILLS_SEED") {
        return text.parse().expect("TIER0_KILLS_SEED is a whole number");
    }
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    u64::from(since.expect("the clock is past 1970").subsec_nanos())
}

/// A whole number of the environment, or what holds without it.
pub(crate) fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a whole number"))
    })
}

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A stream of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.bits())
    }

    /// Uniform below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// Uniform from 0 to `whole`.
    pub(crate) fn moment(&mut self, whole: Duration) -> Duration {
        whole.mul_f64((self.bits() >> 11) as f64 / (1u64 << 53) as f64)
    }
}
