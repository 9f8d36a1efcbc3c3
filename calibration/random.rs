//! A small seeded generator of random numbers, so that the same seed gives the same data
//! everywhere.
//!
//! In: a 64-bit seed. Out: integers, uniform, normal and exponential deviates. The algorithm is
//! xoshiro256++ 1.0 with its state filled by SplitMix64 (D. Blackman, S. Vigna, "Scrambled Linear
//! Pseudorandom Number Generators", ACM TOMS 47, 2021). It must never take entropy from the
//! machine.

/// One step of SplitMix64: a good 64-bit mix of `state` after its increment.
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A uniform number in [0, 1) that depends only on the words given: the same event is kept or
/// dropped whatever else is in the data set.
pub fn uniform_of(words: &[u64]) -> f64 {
    let mut mixed = 0;
    for word in words {
        let mut state = mixed ^ *word;
        mixed = split_mix(&mut state);
    }
    unit(mixed)
}

/// The upper 53 bits as a number in [0, 1).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// The generator.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A generator for this seed. Any seed is fine, zero too.
    pub fn new(seed: u64) -> Self {
        let mut filler = seed;
        Self {
            state: std::array::from_fn(|_| split_mix(&mut filler)),
        }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        unit(self.bits())
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// An integer in 0..n for n well below 2^53 (the bias is below n / 2^53).
    pub fn below(&mut self, n: u64) -> u64 {
        (self.uniform() * n as f64) as u64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Normal deviate of mean 0 and width 1 (Box and Muller, Ann. Math. Stat. 29, 1958; the second
    /// deviate is not kept, so that each call uses exactly two numbers).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Exponential deviate of mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_gives_the_published_sequence() {
        // First outputs for the seed 1234567, from the reference implementation.
        let mut state = 1_234_567;
        let got: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        assert_eq!(
            got,
            [
                6457827717110365317,
                3203168211198807973,
                9817491932198370423
            ]
        );
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::new(7);
        let n = 200_000;
        let mut check =
            |name: &str, mean: f64, width: f64, draw: &mut dyn FnMut(&mut Random) -> f64| {
                let values: Vec<f64> = (0..n).map(|_| draw(&mut random)).collect();
                let got = values.iter().sum::<f64>() / f64::from(n);
                let spread = values.iter().map(|v| (v - got).powi(2)).sum::<f64>() / f64::from(n);
                assert!(
                    (got - mean).abs() < 5.0 * width / f64::from(n).sqrt(),
                    "{name} mean {got}"
                );
                assert!(
                    (spread.sqrt() / width - 1.0).abs() < 0.02,
                    "{name} width {}",
                    spread.sqrt()
                );
            };
        check("uniform", 0.5, 1.0 / 12f64.sqrt(), &mut |r| r.uniform());
        check("normal", 0.0, 1.0, &mut |r| r.normal());
        check("exponential", 1.0, 1.0, &mut |r| r.exponential());
        check("chance", 0.3, 0.21f64.sqrt(), &mut |r| {
            f64::from(u8::from(r.chance(0.3)))
        });
        let hits = (0..100_000u64)
            .filter(|i| uniform_of(&[5, 1, *i]) < 0.25)
            .count();
        assert!((24_300..25_700).contains(&hits), "{hits}");
    }
}
