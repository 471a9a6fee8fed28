//! The processor that this program was compiled for.

/// Names the first instruction set of x86-64-v3 that this processor lacks: the program is compiled for that level (see
/// `.cargo/config.toml`) and would end with an illegal instruction.
#[cfg(target_arch = "x86_64")]
pub fn missing_feature() -> Option<&'static str> {
    let cpu = raw_cpuid::CpuId::new();
    let basic = cpu.get_feature_info();
    let extended = cpu.get_extended_feature_info();
    let has = |present: Option<bool>| present.unwrap_or(false);
    let features = [
        ("AVX", has(basic.as_ref().map(|f| f.has_avx()))),
        ("FMA", has(basic.as_ref().map(|f| f.has_fma()))),
        ("F16C", has(basic.as_ref().map(|f| f.has_f16c()))),
        ("MOVBE", has(basic.as_ref().map(|f| f.has_movbe()))),
        ("AVX2", has(extended.as_ref().map(|f| f.has_avx2()))),
        ("BMI1", has(extended.as_ref().map(|f| f.has_bmi1()))),
        ("BMI2", has(extended.as_ref().map(|f| f.has_bmi2()))),
    ];
    features.into_iter().find(|(_, present)| !present).map(|(name, _)| name)
}

/// Other architectures are compiled for their base level.
#[cfg(not(target_arch = "x86_64"))]
pub fn missing_feature() -> Option<&'static str> {
    None
}
