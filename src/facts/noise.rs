//! Noise for property tests: the same every time, from a seed.

/// xorshift64*: no cryptography, only variety.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from((self.next() >> 33) % end as u64).expect("fits: it is below a usize")
    }

    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| (self.next() >> 40) as u8).collect()
    }

    /// The bytes with a few of them changed, cut out, doubled or moved.
    pub fn damage(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        for _ in 0..=self.below(6) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            let to = at + self.below((bytes.len() - at).min(40) + 1);
            match self.below(5) {
                0 => bytes[at] = (self.next() >> 40) as u8,
                1 => drop(bytes.drain(at..to)),
                2 => bytes.truncate(at),
                3 => bytes.splice(at..at, whole[..to.min(whole.len())].to_vec()).for_each(drop),
                _ => bytes.insert(at, [0, 0xff, 0x80, b'-', b'\n', 0x1b][self.below(6)]),
            }
        }
        bytes
    }
}
