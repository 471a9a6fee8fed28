//! Reads the tensors of a Hugging Face directory one at a time, without holding a whole file in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::error::Error;

/// A header longer than this is taken for a damaged file (the limit of the format's own library).
const MAX_HEADER: u64 = 100_000_000;

/// One safetensors file: its header, as bytes and as what they say.
pub(crate) struct Shard {
    /// The file.
    pub path: PathBuf,
    /// The first bytes of the file, up to the tensors' data.
    pub header: Vec<u8>,
    /// The tensors, by the place of their data.
    pub tensors: Vec<(String, TensorInfo)>,
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self, Error> {
        let mut file = File::open(&path).map_err(Error::at(&path))?;
        let mut length = [0u8; 8];
        file.read_exact(&mut length).map_err(Error::at(&path))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            return Err(Error::malformed(&path, format!("its header would have {length} bytes")));
        }
        let mut header = length.to_le_bytes().to_vec();
        (&mut file).take(length).read_to_end(&mut header).map_err(Error::at(&path))?;
        let metadata: Metadata =
            serde_json::from_slice(&header[8..]).map_err(|error| Error::malformed(&path, error))?;
        let wanted = (header.len() + metadata.data_len()) as u64;
        let found = file.metadata().map_err(Error::at(&path))?.len();
        if wanted != found {
            return Err(Error::malformed(&path, format!("{found} bytes, its header says {wanted}")));
        }
        let names = metadata.offset_keys();
        let info = |name: String| metadata.info(&name).cloned().map(|info| (name, info));
        let tensors = names.into_iter().filter_map(info).collect();
        Ok(Self { path, header, tensors })
    }

    /// The bytes of a tensor of this file.
    pub fn bytes(&self, info: &TensorInfo) -> Result<Vec<u8>, Error> {
        let (start, end) = info.data_offsets;
        let mut file = File::open(&self.path).map_err(Error::at(&self.path))?;
        file.seek(SeekFrom::Start((self.header.len() + start) as u64)).map_err(Error::at(&self.path))?;
        let mut bytes = vec![0; end - start];
        file.read_exact(&mut bytes).map_err(Error::at(&self.path))?;
        Ok(bytes)
    }
}

/// The safetensors files of a model.
pub(crate) struct Weights {
    /// In the order of their names.
    pub shards: Vec<Shard>,
    places: BTreeMap<String, (usize, usize)>,
}

impl Weights {
    /// Reads the headers: of `model.safetensors`, or of the files that `model.safetensors.index.json` names.
    pub fn open(model: &Path) -> Result<Self, Error> {
        let mut shards = Vec::new();
        for name in file_names(model)? {
            shards.push(Shard::open(model.join(name))?);
        }
        let mut places = BTreeMap::new();
        for (shard, opened) in shards.iter().enumerate() {
            for (index, (name, _)) in opened.tensors.iter().enumerate() {
                places.insert(name.clone(), (shard, index));
            }
        }
        Ok(Self { shards, places })
    }

    /// Whether every tensor has numbers of two bytes.
    pub fn are_of_half_precision(&self) -> bool {
        let mut tensors = self.shards.iter().flat_map(|shard| &shard.tensors);
        tensors.all(|(_, info)| matches!(info.dtype, Dtype::BF16 | Dtype::F16))
    }

    /// A tensor on `device` as `to`, whose shape must be `shape`.
    pub fn read(&self, name: &str, shape: &[usize], device: &Device, to: DType) -> Result<Tensor, Error> {
        let &(shard, index) = self.places.get(name).ok_or_else(|| Error::MissingTensor(name.to_owned()))?;
        let info = &self.shards[shard].tensors[index].1;
        if info.shape != shape {
            return Err(Error::TensorShape {
                name: name.to_owned(),
                found: info.shape.clone(),
                wanted: shape.to_vec(),
            });
        }
        let bytes = self.shards[shard].bytes(info)?;
        Ok(Tensor::from_raw_buffer(&bytes, dtype(name, info.dtype)?, shape, &Device::Cpu)?
            .to_dtype(to)?
            .to_device(device)?)
    }
}

/// The types that weights come in. Quantised and integer types are none of them.
pub(crate) fn dtype(name: &str, dtype: Dtype) -> Result<DType, Error> {
    match dtype {
        Dtype::F32 => Ok(DType::F32),
        Dtype::F16 => Ok(DType::F16),
        Dtype::BF16 => Ok(DType::BF16),
        other => Err(Error::Unsupported(format!("tensor `{name}` is of type {other:?}"))),
    }
}

fn file_names(model: &Path) -> Result<Vec<String>, Error> {
    let path = model.join("model.safetensors.index.json");
    if !path.exists() {
        return Ok(vec!["model.safetensors".to_owned()]);
    }
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let bytes = std::fs::read(&path).map_err(Error::at(&path))?;
    let index: Index = serde_json::from_slice(&bytes).map_err(|error| Error::malformed(&path, error))?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    if names.iter().any(|name| name.contains(['/', '\\'])) {
        return Err(Error::malformed(&path, "a file outside of the model's folder"));
    }
    Ok(names)
}
