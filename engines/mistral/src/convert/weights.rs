//! The weights: which GGUF tensor becomes which safetensors tensor, written one at a time.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::header::Header;
use super::{ConvertError, io_error};

/// Where a tensor comes from and what has to happen to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planned {
    source: String,
    shape: Vec<usize>,
    /// Number of heads whose rows have to be put back in order (see [`unpermute`]).
    permuted_heads: Option<usize>,
}

/// The tensors of the result by their new names, in the order in which they are written.
pub(super) type Plan = BTreeMap<String, Planned>;

/// Lists all tensors of the model and checks that the file has exactly these, in the right shapes.
pub(super) fn plan(header: &Header, content: &Content) -> Result<Plan, ConvertError> {
    let plan = expected(header);
    let mut unused: Vec<&str> = content.tensor_infos.keys().map(String::as_str).collect();
    for planned in plan.values() {
        let name = &planned.source;
        let info = content.tensor_infos.get(name).ok_or_else(|| ConvertError::TensorMissing { name: name.clone() })?;
        let (found, expected) = (info.shape.dims().to_vec(), planned.shape.clone());
        if found != expected {
            return Err(ConvertError::TensorShape { name: name.clone(), found, expected });
        }
        unused.retain(|other| other != name);
    }
    match unused.iter().min() {
        Some(name) => Err(ConvertError::TensorUnknown { name: (*name).to_owned() }),
        None => Ok(plan),
    }
}

/// All tensors of a llama-architecture model of these dimensions.
fn expected(header: &Header) -> Plan {
    let mut plan = Plan::new();
    let mut add = |source: String, target: String, shape: &[usize], permuted_heads: Option<usize>| {
        plan.insert(target, Planned { source, shape: shape.to_vec(), permuted_heads });
    };
    let (hidden, wide) = (header.hidden_size, header.feed_forward_size);
    let query = header.heads * header.head_size;
    let key = header.key_value_heads * header.head_size;
    let embedding = [header.vocabulary_size, hidden];
    add("token_embd.weight".to_owned(), "model.embed_tokens.weight".to_owned(), &embedding, None);
    add("output_norm.weight".to_owned(), "model.norm.weight".to_owned(), &[hidden], None);
    if !header.tied_embedding {
        add("output.weight".to_owned(), "lm_head.weight".to_owned(), &embedding, None);
    }
    for layer in 0..header.layers {
        let mut add_layer = |source: &str, target: &str, shape: &[usize], permuted_heads: Option<usize>| {
            let source = format!("blk.{layer}.{source}.weight");
            add(source, format!("model.layers.{layer}.{target}.weight"), shape, permuted_heads);
        };
        add_layer("attn_norm", "input_layernorm", &[hidden], None);
        add_layer("attn_q", "self_attn.q_proj", &[query, hidden], Some(header.heads));
        add_layer("attn_k", "self_attn.k_proj", &[key, hidden], Some(header.key_value_heads));
        add_layer("attn_v", "self_attn.v_proj", &[key, hidden], None);
        add_layer("attn_output", "self_attn.o_proj", &[hidden, query], None);
        add_layer("ffn_norm", "post_attention_layernorm", &[hidden], None);
        add_layer("ffn_gate", "mlp.gate_proj", &[wide, hidden], None);
        add_layer("ffn_up", "mlp.up_proj", &[wide, hidden], None);
        add_layer("ffn_down", "mlp.down_proj", &[hidden, wide], None);
    }
    plan
}

/// Writes `model.safetensors` and returns the bytes of tensor data.
pub(super) fn write(
    plan: &Plan,
    content: &Content,
    reader: &mut BufReader<File>,
    path: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, ConvertError> {
    let (header, total) = file_header(plan)?;
    let file = File::create(path).map_err(io_error("create", path))?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    writer.write_all(&header).map_err(io_error("write", path))?;
    let mut done = 0;
    progress(done, total);
    for planned in plan.values() {
        let values = read_tensor(planned, content, reader)
            .map_err(|source| ConvertError::Tensor { name: planned.source.clone(), source })?;
        for value in &values {
            writer.write_all(&value.to_le_bytes()).map_err(io_error("write", path))?;
        }
        done += (values.len() * size_of::<f32>()) as u64;
        progress(done, total);
    }
    let file = writer.into_inner().map_err(|error| io_error("write", path)(error.into_error()))?;
    // The rename that follows must not become durable before the data is.
    file.sync_all().map_err(io_error("write", path))?;
    Ok(done)
}

/// The length-prefixed JSON header, padded so that the data starts on a multiple of 8; and the data's length.
fn file_header(plan: &Plan) -> Result<(Vec<u8>, u64), ConvertError> {
    let mut offset = 0;
    let mut tensors = Vec::with_capacity(plan.len());
    for (name, planned) in plan {
        let end = offset + planned.shape.iter().product::<usize>() * size_of::<f32>();
        let info = TensorInfo { dtype: Dtype::F32, shape: planned.shape.clone(), data_offsets: (offset, end) };
        tensors.push((name.clone(), info));
        offset = end;
    }
    // Loaders refuse a file that does not say which library's conventions it follows.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let mut json = serde_json::to_vec(&Metadata::new(Some(format), tensors)?)?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok((header, offset as u64))
}

fn read_tensor(planned: &Planned, content: &Content, reader: &mut BufReader<File>) -> candle_core::Result<Vec<f32>> {
    let stored = content.tensor(reader, &planned.source, &Device::Cpu)?.dequantize(&Device::Cpu)?;
    let tensor = match planned.permuted_heads {
        Some(heads) => unpermute(&stored, heads)?,
        None => stored,
    };
    tensor.flatten_all()?.to_vec1()
}

/// Puts the rows of a query or key projection back into the order of the original model.
///
/// llama.cpp rotates neighbouring pairs (2i, 2i + 1), transformers rotates (i, i + half), so its converter
/// stores each head `[half, 2]` where the original has `[2, half]`.
fn unpermute(weight: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
    let (rows, columns) = weight.dims2()?;
    let half = rows / heads / 2;
    weight.reshape((heads, half, 2, columns))?.transpose(1, 2)?.contiguous()?.reshape((rows, columns))
}
