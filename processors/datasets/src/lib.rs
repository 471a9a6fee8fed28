//! Cleaned documents in, versioned instruct datasets out.
