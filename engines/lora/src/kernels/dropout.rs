//! Dropout: some numbers become 0, the others grow so that the sum stays what it is on average.
//!
//! Whether a number is dropped is a function of a key and of its place alone, computed by a counter-based generator:
//! Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). So each number is drawn where it is
//! needed, by whatever thread of whatever device, in the backward pass again, and after an interruption again; no mask and
//! no state of a generator is kept or copied.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::{Host, Kernels, ROWS, wide};

/// Numbers that one draw decides about.
const LANES: usize = 4;

/// Decides what is dropped of a matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mask {
    /// The run's.
    pub seed: u64,
    /// Counts the packs of a run; the lower 32 bits count.
    pub pack: u64,
    /// Which of the adapted matrices' input.
    pub matrix: u32,
    /// The part that is dropped, 0 to below 1.
    pub rate: f64,
}

impl Mask {
    /// The key's two words, the two of the counter that are the same for a whole matrix, and the bound below which a
    /// number that was drawn drops one: as the kernel of GPUs takes them.
    pub fn words(&self) -> [u32; 5] {
        let bound = (self.rate * f64::from(u32::MAX)) as u32;
        [self.seed as u32, (self.seed >> 32) as u32, self.pack as u32, self.matrix, bound]
    }

    /// What is not dropped is multiplied by this.
    pub fn kept(&self) -> f32 {
        (1.0 / (1.0 - self.rate)) as f32
    }

    /// What each number of a row is multiplied by, four at a time: 0 or [`Self::kept`].
    fn factors(&self, row: usize) -> impl Iterator<Item = [f32; LANES]> {
        let ([low, high, pack, matrix, bound], kept) = (self.words(), self.kept());
        let draw = move |group: u32| philox([group, row as u32, pack, matrix], [low, high]);
        (0..).map(move |group| draw(group).map(|number| if number < bound { 0.0 } else { kept }))
    }
}

/// `x` `[rows, width]` without what the mask drops. The derivative is the same function of the gradient.
pub(crate) fn dropout(kernels: Kernels, x: &Tensor, mask: &Mask) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    if kernels == Kernels::Portable {
        let row = |row| mask.factors(row).flatten().take(width);
        let factors: Vec<f32> = (0..rows).flat_map(row).collect();
        return (wide(x)? * Tensor::from_vec(factors, (rows, width), x.device())?)?.to_dtype(x.dtype());
    }
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return super::cuda::dropout(x, mask);
    }
    let host = Host::of(x)?;
    let mut out = vec![0f32; rows * width];
    let input = host.values()?.par_chunks_exact(width);
    out.par_chunks_exact_mut(width).zip(input).enumerate().with_min_len(ROWS).for_each(|(row, (out, x))| {
        for ((out, x), factors) in out.chunks_mut(LANES).zip(x.chunks(LANES)).zip(mask.factors(row)) {
            for ((out, x), factor) in out.iter_mut().zip(x).zip(factors) {
                *out = x * factor;
            }
        }
    });
    Tensor::from_vec(out, (rows, width), x.device())
}

/// Four numbers, each like any other, that follow from a counter and a key.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let product = |factor: u32, word: u32| u64::from(factor) * u64::from(word);
        let (a, b) = (product(0xD251_1F53, counter[0]), product(0xCD9E_8D57, counter[2]));
        let (a_high, b_high) = ((a >> 32) as u32, (b >> 32) as u32);
        counter = [b_high ^ counter[1] ^ key[0], b as u32, a_high ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    const MASK: Mask = Mask { seed: 7, pack: 3, matrix: 12, rate: 0.3 };

    /// A matrix of ones after dropout.
    fn dropped(kernels: Kernels, mask: &Mask, shape: (usize, usize)) -> Vec<f32> {
        let ones = Tensor::full(1f32, shape, &Device::Cpu).unwrap().contiguous().unwrap();
        dropout(kernels, &ones, mask).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_generator_gives_the_numbers_that_its_authors_publish() {
        // Random123's known answers of philox4x32 with ten rounds.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let (counter, key) = ([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
        assert_eq!(philox(counter, key), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn both_forms_drop_the_same_numbers_whatever_the_width_and_the_threads() {
        for shape in [(1, 1), (3, 5), (70, 64), (130, 7)] {
            let fused = dropped(Kernels::Fused, &MASK, shape);
            assert_eq!(fused, dropped(Kernels::Portable, &MASK, shape), "{shape:?}");
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            assert_eq!(pool.install(|| dropped(Kernels::Fused, &MASK, shape)), fused, "{shape:?}");
        }
    }

    #[test]
    fn the_share_of_the_rate_is_dropped_and_the_mean_stays() {
        let numbers = dropped(Kernels::Fused, &MASK, (400, 250));
        let share = numbers.iter().filter(|number| **number == 0.0).count() as f64 / numbers.len() as f64;
        // Four standard deviations of 100 000 draws.
        assert!((share - 0.3).abs() < 0.006, "{share}");
        assert!(numbers.iter().all(|number| *number == 0.0 || *number == MASK.kept()));
        let mean = numbers.iter().map(|number| f64::from(*number)).sum::<f64>() / numbers.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn seed_pack_and_matrix_each_decide_another_mask() {
        let of = |mask: Mask| dropped(Kernels::Fused, &mask, (8, 32));
        let one = of(MASK);
        assert_eq!(one, of(MASK));
        for other in [
            Mask { seed: 8, ..MASK },
            Mask { seed: 7 + (1 << 32), ..MASK },
            Mask { pack: 4, ..MASK },
            Mask { matrix: 13, ..MASK },
        ] {
            assert_ne!(of(other), one, "{other:?}");
        }
    }
}
