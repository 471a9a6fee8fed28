//! The exponential function in a form that the compiler turns into vector instructions.

/// `e^x` to within two units in the last place; beyond F32's range the smallest or largest value of it.
///
/// The method is Cephes' `expf`: `e^x = 2^n e^r` with `|r| <= ln 2 / 2`, and a polynomial for `e^r`. The standard
/// library's function is as exact, but one call for each number, of which a training step has tens of millions.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding it leaves the nearest whole number in the lowest bits of the sum.
    const ROUNDING: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let n = shifted - ROUNDING;
    // ln 2 in two parts, the first of so few digits that n times it is exact.
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()));
    (p * r * r + r + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn the_vector_form_is_as_exact_as_the_standard_library() {
        for step in -8_700..8_800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 3e-7 * exact, "{x}: {} is not {exact}", exp(x));
        }
        assert!(exp(f32::NEG_INFINITY) < 1.3e-38 && exp(f32::INFINITY) > 1e38);
        assert_eq!(exp(0.0), 1.0);
    }
}
