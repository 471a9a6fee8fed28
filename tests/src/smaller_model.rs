//! A second embedding model: the first one, of whose output only the first numbers are kept.
//!
//! The ONNX file is changed as the Protocol Buffers message that it is (`onnx.proto3`): a `Slice` node is put behind the
//! graph's output. So the second model is a real one, with other vectors of another length.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Fields of `ModelProto`, `GraphProto`, `NodeProto`, `TensorProto`, `ValueInfoProto` and `TypeProto`.
mod field {
    pub const MODEL_GRAPH: u64 = 7;
    pub const GRAPH_NODE: u64 = 1;
    pub const GRAPH_INITIALIZER: u64 = 5;
    pub const GRAPH_OUTPUT: u64 = 12;
    pub const NODE_INPUT: u64 = 1;
    pub const NODE_OUTPUT: u64 = 2;
    pub const NODE_OPERATOR: u64 = 4;
    pub const TENSOR_DIMENSIONS: u64 = 1;
    pub const TENSOR_TYPE: u64 = 2;
    pub const TENSOR_INT64: u64 = 7;
    pub const TENSOR_NAME: u64 = 8;
    pub const VALUE_NAME: u64 = 1;
    pub const VALUE_TYPE: u64 = 2;
    pub const TYPE_TENSOR: u64 = 1;
    pub const TENSOR_ELEMENT: u64 = 1;
}

const FLOAT: u64 = 1;
const INT64: u64 = 7;
/// The wire type of messages, texts and packed numbers.
const LENGTH_DELIMITED: u64 = 2;
/// The axis of a vector's numbers in `[batch, tokens, dimension]`.
const LAST_AXIS: u64 = 2;

/// Copies the model in `source` to the new folder `target`, with vectors of `dimension` numbers.
///
/// # Errors
/// A file can not be read or written, or is no ONNX model.
pub fn smaller_model(source: &Path, target: &Path, dimension: u64) -> Result<()> {
    fs::create_dir_all(target)?;
    fs::copy(source.join("tokenizer.json"), target.join("tokenizer.json"))?;
    let model = fs::read(source.join("model.onnx"))?;
    let mut smaller = Vec::with_capacity(model.len() + 1024);
    for field in fields(&model)? {
        if field.number == field::MODEL_GRAPH {
            put_message(&mut smaller, field::MODEL_GRAPH, &smaller_graph(field.payload, dimension)?);
        } else {
            smaller.extend_from_slice(field.whole);
        }
    }
    Ok(fs::write(target.join("model.onnx"), smaller)?)
}

fn smaller_graph(graph: &[u8], dimension: u64) -> Result<Vec<u8>> {
    let (outputs, rest): (Vec<_>, Vec<_>) =
        fields(graph)?.into_iter().partition(|field| field.number == field::GRAPH_OUTPUT);
    let output = outputs.first().context("the graph has no output")?;
    let name = fields(output.payload)?.into_iter().find(|field| field.number == field::VALUE_NAME);
    let name = name.context("the output has no name")?.payload;
    let mut smaller: Vec<u8> = rest.iter().flat_map(|field| field.whole).copied().collect();
    for (constant, value) in [("slice_start", 0), ("slice_end", dimension), ("slice_axis", LAST_AXIS)] {
        put_message(&mut smaller, field::GRAPH_INITIALIZER, &one_number(constant, value));
    }
    let mut node = Vec::new();
    for input in [name, b"slice_start", b"slice_end", b"slice_axis"] {
        put_message(&mut node, field::NODE_INPUT, input);
    }
    put_message(&mut node, field::NODE_OUTPUT, b"smaller");
    put_message(&mut node, field::NODE_OPERATOR, b"Slice");
    put_message(&mut smaller, field::GRAPH_NODE, &node);
    put_message(&mut smaller, field::GRAPH_OUTPUT, &float_tensor("smaller"));
    Ok(smaller)
}

/// A constant tensor `[1]`.
fn one_number(name: &str, value: u64) -> Vec<u8> {
    let mut tensor = Vec::new();
    put_number(&mut tensor, field::TENSOR_DIMENSIONS, 1);
    put_number(&mut tensor, field::TENSOR_TYPE, INT64);
    put_number(&mut tensor, field::TENSOR_INT64, value);
    put_message(&mut tensor, field::TENSOR_NAME, name.as_bytes());
    tensor
}

/// The declaration of a tensor of unknown shape.
fn float_tensor(name: &str) -> Vec<u8> {
    let mut tensor = Vec::new();
    put_number(&mut tensor, field::TENSOR_ELEMENT, FLOAT);
    let mut kind = Vec::new();
    put_message(&mut kind, field::TYPE_TENSOR, &tensor);
    let mut value = Vec::new();
    put_message(&mut value, field::VALUE_NAME, name.as_bytes());
    put_message(&mut value, field::VALUE_TYPE, &kind);
    value
}

struct Field<'a> {
    number: u64,
    /// What a length-delimited field holds; empty for others.
    payload: &'a [u8],
    /// The field as it is written, with its tag.
    whole: &'a [u8],
}

fn fields(message: &[u8]) -> Result<Vec<Field<'_>>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < message.len() {
        let start = at;
        let tag = take_number(message, &mut at)?;
        let begin = at;
        let payload = match tag & 7 {
            0 => {
                take_number(message, &mut at)?;
                begin..begin
            }
            1 => {
                at += 8;
                begin..begin
            }
            LENGTH_DELIMITED => {
                let length = usize::try_from(take_number(message, &mut at)?)?;
                let begin = at;
                at = at.saturating_add(length);
                begin..at
            }
            _ => {
                at += 4;
                begin..begin
            }
        };
        ensure!(at <= message.len(), "the model's file is cut off");
        found.push(Field { number: tag >> 3, payload: &message[payload], whole: &message[start..at] });
    }
    Ok(found)
}

fn take_number(bytes: &[u8], at: &mut usize) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).context("the model's file is cut off")?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(number)
}

fn put_varint(target: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        target.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    target.push(number as u8);
}

fn put_number(target: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(target, field << 3);
    put_varint(target, number);
}

fn put_message(target: &mut Vec<u8>, field: u64, payload: &[u8]) {
    put_varint(target, field << 3 | LENGTH_DELIMITED);
    put_varint(target, payload.len() as u64);
    target.extend_from_slice(payload);
}
