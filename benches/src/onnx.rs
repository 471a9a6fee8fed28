//! Two small ONNX models, written byte by byte: a single matrix product, and an embedding model that costs nothing.
//!
//! The format is protobuf; the field numbers are those of `onnx.proto`, IR version 8, operator set 17.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The shape of a product: `[rows, inner] x [inner, columns]`.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// Rows of the left side.
    pub rows: usize,
    /// Columns of the left side, rows of the right one.
    pub inner: usize,
    /// Columns of the right side.
    pub columns: usize,
}

/// The largest product in a layer of MiniLM, for a text of 256 tokens.
pub const PRODUCT: Product = Product { rows: 256, inner: 384, columns: 1536 };

impl Product {
    /// Operations of one product: a multiplication and an addition for each.
    pub const fn operations(&self) -> f64 {
        2.0 * (self.rows * self.inner * self.columns) as f64
    }
}

/// ONNX's numbers for types of tensors.
const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// Writes a model whose one node multiplies its input with fixed numbers, as a layer of a model does.
pub fn write_product(file: &Path) -> Result<()> {
    let Product { rows, inner, columns } = PRODUCT;
    let nodes = vec![node("MatMul", &["left", "right"], "product")];
    let right = tensor("right", inner, columns);
    let inputs = [value("left", FLOAT, &[rows.into(), inner.into()])];
    write(file, nodes, right, &inputs, value("product", FLOAT, &[rows.into(), columns.into()]))
}

/// Writes a model with the inputs and the output of an embedding model, which looks the vector of each token up in a
/// table of random ones.
pub fn write_lookup(file: &Path, vocabulary: usize, dimension: usize) -> Result<()> {
    let nodes = vec![node("Gather", &["table", "input_ids"], "last_hidden_state")];
    let table = tensor("table", vocabulary, dimension);
    let texts = [Size::Named("texts"), Size::Named("tokens")];
    let inputs = [value("input_ids", INT64, &texts), value("attention_mask", INT64, &texts)];
    let states = value("last_hidden_state", FLOAT, &[Size::Named("texts"), Size::Named("tokens"), dimension.into()]);
    write(file, nodes, table, &inputs, states)
}

fn write(file: &Path, nodes: Vec<Message>, fixed: Message, inputs: &[Message], output: Message) -> Result<()> {
    let mut graph = Message::default();
    for node in &nodes {
        graph = graph.message(1, node);
    }
    graph = graph.text(2, "graph").message(5, &fixed);
    for input in inputs {
        graph = graph.message(11, input);
    }
    let operators = Message::default().text(1, "").number(2, 17);
    let model = Message::default().number(1, 8).message(7, &graph.message(12, &output)).message(8, &operators);
    fs::write(file, model.0).with_context(|| format!("can not write {}", file.display()))
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Message {
    let inputs = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
    inputs.text(2, output).text(3, operator).text(4, operator)
}

/// A tensor of random numbers; the same in every run.
fn tensor(name: &str, rows: usize, columns: usize) -> Message {
    let mut random = StdRng::seed_from_u64(1);
    let numbers = (0..rows * columns).flat_map(|_| random.random_range(-1.0_f32..1.0).to_le_bytes());
    let bytes: Vec<u8> = numbers.collect();
    let shape = Message::default().number(1, rows as u64).number(1, columns as u64);
    shape.number(2, FLOAT).text(8, name).bytes(9, &bytes)
}

/// A length of a tensor: known, or known by name.
#[derive(Debug, Clone, Copy)]
enum Size {
    Fixed(usize),
    Named(&'static str),
}

impl From<usize> for Size {
    fn from(size: usize) -> Self {
        Self::Fixed(size)
    }
}

/// An input or output.
fn value(name: &str, kind: u64, sizes: &[Size]) -> Message {
    let shape = sizes.iter().fold(Message::default(), |shape, size| {
        let size = match size {
            Size::Fixed(size) => Message::default().number(1, *size as u64),
            Size::Named(name) => Message::default().text(2, name),
        };
        shape.message(1, &size)
    });
    let tensor = Message::default().number(1, kind).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

/// A protobuf message that is being written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_groups_of_seven_bits() {
        assert_eq!(Message::default().number(1, 300).0, [0x08, 0xac, 0x02]);
        assert_eq!(Message::default().text(2, "testing").0, b"\x12\x07testing");
    }
}
