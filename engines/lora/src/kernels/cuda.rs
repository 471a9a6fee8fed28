//! The fused steps on NVIDIA GPUs: launches of the kernels of `kernels.cu`.

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::cudarc::driver::{CudaStream, DevicePtr, LaunchConfig, PushKernelArg, SyncOnDrop};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, DType, InplaceOp1, InplaceOp2, InplaceOp3, Layout,
    Result, Shape, Tensor, bail,
};

use super::dropout::Mask;
use super::heads::Place;

/// The kernels as the build script compiled them.
const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));
const MODULE: &str = "twin-trainer";

/// Threads of a row. A row of logits is a hundred times as long as others.
const THREADS: u32 = 256;
const LOGITS_THREADS: u32 = 1024;

/// A kernel with all its arguments but the tensors: these come first, the one that is written before the others. Then
/// come the sizes and the factor.
struct Launch {
    kernel: &'static str,
    rows: usize,
    threads: u32,
    sizes: Vec<i32>,
    factor: Option<f32>,
    /// Shape and type of the result, where it is a new tensor.
    result: (Shape, DType),
}

impl Launch {
    fn new(kernel: &'static str, rows: usize, sizes: &[usize]) -> Self {
        let sizes = sizes.iter().map(|size| *size as i32).collect();
        Self { kernel, rows, threads: THREADS, sizes, factor: None, result: (Shape::from(()), DType::F32) }
    }

    fn with_factor(self, factor: f64) -> Self {
        Self { factor: Some(factor as f32), ..self }
    }

    fn over_logits(self) -> Self {
        Self { threads: LOGITS_THREADS, ..self }
    }

    fn giving(self, shape: impl Into<Shape>, dtype: DType) -> Self {
        Self { result: (shape.into(), dtype), ..self }
    }

    /// Writes a new tensor. The first of those read decides the kernel's type.
    fn fresh(&self, read: &[(&CudaStorage, &Layout)]) -> Result<(CudaStorage, Shape)> {
        let (shape, dtype) = self.result.clone();
        let device = read[0].0.device().clone();
        // SAFETY: the kernel writes every number of it before anybody reads one.
        #[allow(unsafe_code)]
        let result = unsafe { device.alloc_uninit(&shape, dtype)? };
        self.launch(&result, &Layout::contiguous(&shape), read, read[0].0.dtype())?;
        Ok((result, shape))
    }

    /// Changes a tensor, whose type is the kernel's.
    fn rewrite(&self, target: &CudaStorage, layout: &Layout, read: &[(&CudaStorage, &Layout)]) -> Result<()> {
        self.launch(target, layout, read, target.dtype())
    }

    fn launch(
        &self,
        target: &CudaStorage,
        layout: &Layout,
        read: &[(&CudaStorage, &Layout)],
        dtype: DType,
    ) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let suffix = match dtype {
            DType::F32 => "f32",
            DType::BF16 => "bf16",
            other => bail!("there is no kernel for {other:?}"),
        };
        let device = target.device();
        let stream = device.cuda_stream();
        let function = device.get_or_load_custom_func(&format!("{}_{suffix}", self.kernel), MODULE, PTX)?;
        // The guards hold off others until the kernel is in the stream.
        let (target, _written) = address(target, layout, &stream)?;
        let read: Vec<_> =
            read.iter().map(|(storage, layout)| address(storage, layout, &stream)).collect::<Result<_>>()?;
        let mut builder = function.builder();
        builder.arg(&target);
        read.iter().for_each(|(address, _)| _ = builder.arg(address));
        self.sizes.iter().for_each(|size| _ = builder.arg(size));
        self.factor.iter().for_each(|factor| _ = builder.arg(factor));
        let rows = u32::try_from(self.rows).map_err(candle_core::Error::wrap)?;
        let config = LaunchConfig { grid_dim: (rows, 1, 1), block_dim: (self.threads, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the functions below give each kernel the tensors and sizes that it is written for.
        #[allow(unsafe_code)]
        unsafe { builder.launch(config) }.w()?;
        Ok(())
    }
}

/// Where the numbers of a contiguous tensor begin.
fn address<'a>(storage: &'a CudaStorage, layout: &Layout, stream: &'a CudaStream) -> Result<(u64, SyncOnDrop<'a>)> {
    let Some((start, _)) = layout.contiguous_offsets() else { bail!("a kernel was given a tensor with gaps") };
    let (address, guard) = match &storage.slice {
        CudaStorageSlice::F32(numbers) => numbers.device_ptr(stream),
        CudaStorageSlice::BF16(numbers) => numbers.device_ptr(stream),
        CudaStorageSlice::U32(numbers) => numbers.device_ptr(stream),
        _ => bail!("a kernel was given a tensor of type {:?}", storage.dtype()),
    };
    Ok((address + (start * storage.dtype().size_in_bytes()) as u64, guard))
}

const NOT_HERE: &str = "a kernel of a GPU was given a tensor of another device";

impl CustomOp2 for Launch {
    fn name(&self) -> &'static str {
        self.kernel
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{NOT_HERE}")
    }

    fn cuda_fwd(&self, a: &CudaStorage, la: &Layout, b: &CudaStorage, lb: &Layout) -> Result<(CudaStorage, Shape)> {
        self.fresh(&[(a, la), (b, lb)])
    }
}

impl CustomOp3 for Launch {
    fn name(&self) -> &'static str {
        self.kernel
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("{NOT_HERE}")
    }

    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        la: &Layout,
        b: &CudaStorage,
        lb: &Layout,
        c: &CudaStorage,
        lc: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.fresh(&[(a, la), (b, lb), (c, lc)])
    }
}

impl CustomOp1 for Launch {
    fn name(&self) -> &'static str {
        self.kernel
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{NOT_HERE}")
    }

    fn cuda_fwd(&self, a: &CudaStorage, la: &Layout) -> Result<(CudaStorage, Shape)> {
        self.fresh(&[(a, la)])
    }
}

impl InplaceOp1 for Launch {
    fn name(&self) -> &'static str {
        self.kernel
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        bail!("{NOT_HERE}")
    }

    fn cuda_fwd(&self, target: &mut CudaStorage, layout: &Layout) -> Result<()> {
        self.rewrite(target, layout, &[])
    }
}

impl InplaceOp2 for Launch {
    fn name(&self) -> &'static str {
        self.kernel
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<()> {
        bail!("{NOT_HERE}")
    }

    fn cuda_fwd(&self, target: &mut CudaStorage, layout: &Layout, a: &CudaStorage, la: &Layout) -> Result<()> {
        self.rewrite(target, layout, &[(a, la)])
    }
}

impl InplaceOp3 for Launch {
    fn name(&self) -> &'static str {
        self.kernel
    }

    fn cpu_fwd(
        &self,
        _: &mut CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<()> {
        bail!("{NOT_HERE}")
    }

    fn cuda_fwd(
        &self,
        target: &mut CudaStorage,
        layout: &Layout,
        a: &CudaStorage,
        la: &Layout,
        b: &CudaStorage,
        lb: &Layout,
    ) -> Result<()> {
        self.rewrite(target, layout, &[(a, la), (b, lb)])
    }
}

pub(super) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let launch = Launch::new("rms_norm", rows, &[width]).with_factor(eps).giving((rows, width), x.dtype());
    x.apply_op2_no_bwd(weight, &launch)
}

pub(super) fn rms_norm_backward(x: &Tensor, weight: &Tensor, eps: f64, gradient: &Tensor) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let launch = Launch::new("rms_norm_backward", rows, &[width]).with_factor(eps).giving((rows, width), x.dtype());
    x.apply_op3_no_bwd(weight, gradient, &launch)
}

pub(super) fn swiglu(both: &Tensor) -> Result<Tensor> {
    let (rows, columns) = both.dims2()?;
    both.apply_op1_no_bwd(&Launch::new("swiglu", rows, &[columns / 2]).giving((rows, columns / 2), both.dtype()))
}

pub(super) fn swiglu_backward(both: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let (rows, columns) = both.dims2()?;
    let launch = Launch::new("swiglu_backward", rows, &[columns / 2]).giving((rows, columns), both.dtype());
    both.apply_op2_no_bwd(gradient, &launch)
}

pub(super) fn dropout(x: &Tensor, mask: &Mask) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    // Words keep their bits where a size is passed.
    let [low, high, pack, matrix, bound] = mask.words().map(|word| word as usize);
    let launch = Launch::new("dropout", rows, &[width, low, high, pack, matrix, bound]);
    x.apply_op1_no_bwd(&launch.with_factor(f64::from(mask.kept())).giving((rows, width), x.dtype()))
}

pub(super) fn causal_softmax(scores: Tensor, before: usize, scale: f64) -> Result<Tensor> {
    let (batch, rows, keys) = scores.dims3()?;
    scores.inplace_op1(&Launch::new("causal_softmax", batch * rows, &[keys, before]).with_factor(scale))?;
    Ok(scores)
}

pub(super) fn causal_softmax_backward(weights: &Tensor, gradient: Tensor, before: usize, scale: f64) -> Result<Tensor> {
    let (batch, rows, keys) = weights.dims3()?;
    let launch = Launch::new("causal_softmax_backward", batch * rows, &[keys, before]).with_factor(scale);
    gradient.inplace_op2(weights, &launch)?;
    Ok(gradient)
}

pub(super) fn cross_entropy(logits: &Tensor, targets: &[u32]) -> Result<Vec<f32>> {
    let (rows, vocabulary) = logits.dims2()?;
    let launch = Launch::new("cross_entropy", rows, &[vocabulary]).over_logits().giving(rows, DType::F32);
    logits.apply_op2_no_bwd(&Tensor::new(targets, logits.device())?, &launch)?.to_vec1()
}

pub(super) fn cross_entropy_backward(logits: &Tensor, targets: &[u32], factors: &[f32]) -> Result<()> {
    let (rows, vocabulary) = logits.dims2()?;
    let device = logits.device();
    let launch = Launch::new("cross_entropy_backward", rows, &[vocabulary]).over_logits();
    logits.inplace_op3(&Tensor::new(targets, device)?, &Tensor::new(factors, device)?, &launch)
}

/// The heads `[heads, tokens, head_dim]` from their place in a matrix, turned by the angles of [`super::Rope`] if given.
pub(super) fn split_heads(matrix: &Tensor, place: &Place, heads: usize, angles: Option<&Tensor>) -> Result<Tensor> {
    let launch = place.launch(["split_heads", "split_heads_turned"], heads, angles)?;
    let launch = launch.giving((heads, place.tokens, place.head_dim), matrix.dtype());
    match angles {
        Some(angles) => matrix.apply_op2_no_bwd(angles, &launch),
        None => matrix.apply_op1_no_bwd(&launch),
    }
}

/// Writes heads `[heads, tokens, head_dim]` to their place in the matrix, turned back by the angles if given.
pub(super) fn join_heads(matrix: &Tensor, place: &Place, heads: &Tensor, angles: Option<&Tensor>) -> Result<()> {
    let launch = place.launch(["join_heads", "join_heads_turned"], heads.dim(0)?, angles)?;
    match angles {
        Some(angles) => matrix.inplace_op3(heads, angles, &launch),
        None => matrix.inplace_op2(heads, &launch),
    }
}

impl Place {
    /// The first kernel over so many heads, or the second where they are to be turned.
    fn launch(&self, kernels: [&'static str; 2], heads: usize, angles: Option<&Tensor>) -> Result<Launch> {
        let mut sizes = vec![self.row, self.tokens, self.columns, self.first, self.head_dim];
        if let Some(angles) = angles {
            sizes.extend([angles.dim(1)?, self.position]);
        }
        Ok(Launch::new(kernels[usize::from(angles.is_some())], heads * self.tokens, &sizes))
    }
}

pub(super) fn add_columns(whole: &Tensor, part: &Tensor, column: usize, scale: f64) -> Result<()> {
    let (rows, columns) = whole.dims2()?;
    let launch = Launch::new("add_columns", rows, &[columns, column, part.dim(1)?]).with_factor(scale);
    whole.inplace_op2(part, &launch)
}
