//! AdamW on the decoder's device: the adapter while it is trained, and what the optimizer knows of its gradients.
//!
//! All numbers of one learning rate lie in one row, so that an update is a few operations however many matrices there
//! are. In a step no tensor of it is copied to the host: of the gradient, only its norm is read there, one number. A
//! checkpoint reads them all.
//!
//! candle's own keeps its moments to itself, so that they could not go into a checkpoint.

use candle_core::{DType, Device, Tensor};

use super::decoder::Decoder;
use super::error::Error;
use super::kernels::{Kernels, Learned, Update};
use super::lora::{Adapter, DeviceAdapter, Parameter};

/// An adapter that is trained, with the state of its optimizer.
pub struct AdamW {
    /// The adapter's form: its parameters have no numbers here.
    form: Adapter,
    kernels: Kernels,
    /// Updates done.
    updates: u32,
    /// One for each learning rate.
    groups: Vec<Group>,
}

/// The parameters of one learning rate.
struct Group {
    /// As a multiple of the recipe's.
    rate: f64,
    /// Their places among the adapter's, ascending.
    members: Vec<usize>,
    /// Their numbers, one parameter after the other.
    learned: Learned,
}

/// Running means of the gradients and of their squares, for each parameter as its values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moments {
    pub first: Vec<Vec<f32>>,
    pub second: Vec<Vec<f32>>,
}

impl Moments {
    /// Those before the first update.
    pub fn none(adapter: &Adapter) -> Self {
        let zeros = || adapter.parameters.iter().map(|parameter| vec![0.0; parameter.values.len()]).collect();
        Self { first: zeros(), second: zeros() }
    }
}

impl AdamW {
    /// The state before the first update of an adapter.
    ///
    /// # Errors
    /// The device's.
    pub fn new(adapter: &Adapter, device: &Device) -> Result<Self, Error> {
        Self::restored(adapter, &Moments::none(adapter), 0, device)
    }

    /// The state after so many updates, as [`Self::read`] gave it.
    pub(crate) fn restored(adapter: &Adapter, moments: &Moments, updates: u32, device: &Device) -> Result<Self, Error> {
        let values: Vec<&[f32]> = adapter.parameters.iter().map(|parameter| parameter.values.as_slice()).collect();
        let group = |(rate, members): (f64, Vec<usize>)| -> Result<Group, Error> {
            let learned = Learned {
                weights: row(&members, &values, device)?,
                first: row(&members, &moments.first, device)?,
                second: row(&members, &moments.second, device)?,
            };
            Ok(Group { rate, members, learned })
        };
        let groups: Result<Vec<Group>, Error> = by_rate(adapter).into_iter().map(group).collect();
        Ok(Self { form: without_numbers(adapter), kernels: Kernels::of(device), updates, groups: groups? })
    }

    /// Updates done.
    pub(crate) fn updates(&self) -> u32 {
        self.updates
    }

    /// The adapter for a decoder of the same device, in its precision. In single precision it has the optimizer's own
    /// numbers, which the next update changes.
    ///
    /// # Errors
    /// The device's.
    pub fn adapter(&self, decoder: &Decoder) -> Result<DeviceAdapter, Error> {
        let mut tensors: Vec<Option<Tensor>> = vec![None; self.form.parameters.len()];
        for group in &self.groups {
            let numbers = group.learned.weights.to_dtype(decoder.dtype())?;
            let mut first = 0;
            for &member in &group.members {
                let (rows, columns) = self.form.parameters[member].shape;
                let matrix = numbers.narrow(0, first, rows * columns)?.reshape((rows, columns))?;
                tensors[member] = Some(matrix);
                first += rows * columns;
            }
        }
        Ok(self.form.of(tensors.into_iter().flatten().collect()))
    }

    /// The gradients of the adapter's matrices as an update takes them: a row for each learning rate.
    ///
    /// # Errors
    /// The device's.
    pub fn rows(&self, gradients: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let row = |group: &Group| -> Result<Tensor, Error> {
            let of_members = group.members.iter().map(|member| gradients[*member].flatten_all());
            Ok(Tensor::cat(&of_members.collect::<Result<Vec<Tensor>, _>>()?, 0)?)
        };
        self.groups.iter().map(row).collect()
    }

    /// Moves the adapter against the gradients of [`Self::rows`].
    ///
    /// # Errors
    /// The device's.
    pub fn update(&mut self, gradients: &[Tensor], learning_rate: f64, weight_decay: f64) -> Result<(), Error> {
        self.updates += 1;
        for (group, gradient) in self.groups.iter_mut().zip(gradients) {
            let update = Update::new(self.updates, learning_rate * group.rate, weight_decay);
            group.learned.update(self.kernels, gradient, update)?;
        }
        Ok(())
    }

    /// Copies the adapter to the host.
    ///
    /// # Errors
    /// The device's.
    pub fn parameters(&self) -> Result<Adapter, Error> {
        Ok(self.read()?.0)
    }

    /// Copies all of it to the host.
    pub(crate) fn read(&self) -> Result<(Adapter, Moments), Error> {
        let mut adapter = self.form.clone();
        let mut moments = Moments::none(&self.form);
        for group in &self.groups {
            let Learned { weights, first, second } = &group.learned;
            let [weights, first, second] = [weights, first, second].map(|row| row.to_vec1::<f32>());
            let (weights, first, second) = (weights?, first?, second?);
            let mut begin = 0;
            for &member in &group.members {
                let Parameter { shape: (rows, columns), values, .. } = &mut adapter.parameters[member];
                let range = begin..begin + *rows * *columns;
                *values = weights[range.clone()].to_vec();
                moments.first[member] = first[range.clone()].to_vec();
                moments.second[member] = second[range.clone()].to_vec();
                begin = range.end;
            }
        }
        Ok((adapter, moments))
    }
}

/// The learning rates that there are, each with its parameters.
fn by_rate(adapter: &Adapter) -> Vec<(f64, Vec<usize>)> {
    let mut groups: Vec<(f64, Vec<usize>)> = Vec::new();
    for parameter in 0..adapter.parameters.len() {
        let rate = adapter.rate_of(parameter);
        match groups.iter_mut().find(|(known, _)| *known == rate) {
            Some((_, members)) => members.push(parameter),
            None => groups.push((rate, vec![parameter])),
        }
    }
    groups
}

/// The numbers of these parameters, one after the other, in a tensor of their own.
fn row(members: &[usize], values: &[impl AsRef<[f32]>], device: &Device) -> Result<Tensor, Error> {
    let numbers: Vec<f32> = members.iter().flat_map(|member| values[*member].as_ref()).copied().collect();
    let count = numbers.len();
    Ok(Tensor::from_vec(numbers, count, device)?)
}

fn without_numbers(adapter: &Adapter) -> Adapter {
    let mut form = adapter.clone();
    form.parameters.iter_mut().for_each(|parameter| parameter.values = Vec::new());
    form
}

/// Squares that are summed in single precision, before the sums are in double.
const ROW: usize = 1_024;

/// Scales the gradients so that their norm over all numbers is `limit` at most (0 is no limit). With the norm before.
///
/// # Errors
/// The device's.
pub fn clip(gradients: Vec<Tensor>, limit: f64) -> Result<(Vec<Tensor>, f64), Error> {
    let mut squares = 0.0;
    for gradient in &gradients {
        squares += sum_of_squares(gradient)?;
    }
    let norm = squares.sqrt();
    if limit <= 0.0 || norm.is_nan() || norm <= limit {
        return Ok((gradients, norm));
    }
    let scaled = gradients.iter().map(|gradient| gradient * (limit / norm));
    Ok((scaled.collect::<Result<_, _>>()?, norm))
}

/// In an order that does not depend on the threads.
fn sum_of_squares(numbers: &Tensor) -> Result<f64, Error> {
    let count = numbers.elem_count();
    let squares = numbers.flatten_all()?.sqr()?.pad_with_zeros(0, 0, count.next_multiple_of(ROW) - count)?;
    let sums = squares.reshape(((), ROW))?.sum(1)?;
    Ok(sums.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?)
}
